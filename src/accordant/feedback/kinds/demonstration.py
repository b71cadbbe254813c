"""Demonstrations: answers to imitate."""

from __future__ import annotations

from accordant.feedback.conversations import split_conversation
from accordant.feedback.kind import Kind
from accordant.feedback.records import Demonstration, Origin
from accordant.feedback.row_texts import read_conversation, read_prompt_and_completion
from accordant.feedback.rows import Row


def build(row: Row, origin: Origin) -> tuple[Demonstration, ...]:
    """Make one demonstration, or one for every assistant turn of a conversation."""
    if "messages" not in row.values:
        return (Demonstration(*read_prompt_and_completion(row), origin),)
    messages = read_conversation(row)
    with row.at("messages"):
        # The whole first: a fault is one of the conversation, not of an early part of it.
        split_conversation(messages)
        # Every turn, as chat trainers that mask all but the assistant's do.
        ends = (n for n, message in enumerate(messages, 1) if message.role == "assistant")
        turns = [split_conversation(messages[:end]) for end in ends]
    return tuple(Demonstration(prompt, answer, origin) for prompt, answer in turns)


KIND = Kind(
    name="demonstration",
    record=Demonstration,
    layouts=("prompt completion", "messages"),
    build=build,
    usual="sft",
)
