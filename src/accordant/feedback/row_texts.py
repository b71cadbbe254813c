"""Prompts and answers of one row, with the system columns and histories that belong to them.

Knows canonical rows and texts. Knows nothing of files, kinds or tokens. Every mistake is a
`RowError` that names its column.
"""

from __future__ import annotations

from accordant.feedback.conversations import (
    Messages,
    is_transcript,
    parse_completion,
    parse_messages,
    parse_prompt,
    split_conversation,
)
from accordant.feedback.records import Message, Text
from accordant.feedback.rows import Row, RowError
from accordant.feedback.values import parse_list, parse_string


def read_prompt(row: Row) -> Text:
    """Read the prompt with what belongs to it: Alpaca's input and history, a system column."""
    prompt = row.read("prompt", parse_prompt)
    if not isinstance(prompt, str):
        return prompt
    # Only Alpaca's `input` goes on from the instruction; elsewhere it may be anything.
    is_alpaca = row.name("prompt") == "instruction"
    further = row.values.get("input") if is_alpaca else None
    if isinstance(further, str) and further.strip():
        prompt = f"{prompt}\n{further}" if prompt.strip() else further
    if "system" in row.values or (is_alpaca and "history" in row.values):
        return (*_earlier_turns(row), Message("user", prompt))
    return prompt


def _earlier_turns(row: Row) -> Messages:
    turns: list[Message] = []
    if row.has("system") and (system := row.read("system", parse_string)):
        turns.append(Message("system", system))
    with row.at("history"):
        for pair in parse_list(row.values.get("history") or []):
            if not isinstance(pair, list) or [type(text) for text in pair] != [str, str]:
                raise RowError(
                    "content is not text",
                    "every item of the history is a pair of strings: what the user said, the "
                    "answer.",
                )
            turns += [Message("user", pair[0]), Message("assistant", pair[1])]
    return tuple(turns)


def read_completion(row: Row, column: str, prompt: Text, given: str = "prompt") -> Text:
    """Read the answer in a column to the prompt that was read from the column `given`."""
    return row.read(column, lambda value: answer_to(prompt, value, row.require(given)))


def answer_to(prompt: Text, value: object, given: object) -> Text:
    """Read an answer; a plain one becomes a message where only our reading made the prompt one.

    `given` is the prompt as the row writes it: with a system column, a history or an HH transcript
    a plain prompt was read as messages.
    """
    if isinstance(value, str) and isinstance(given, str) and not isinstance(prompt, str):
        text = value.strip() if is_transcript(given) else value
        value = [{"role": "assistant", "content": text}]
    return parse_completion(value, prompt)


def read_conversation(row: Row) -> Messages:
    """Read a whole conversation, with the system column in front where it has no such message."""
    messages = row.read("messages", parse_messages)
    system = row.values.get("system")
    if isinstance(system, str) and system and messages[:1] and messages[0].role != "system":
        messages = (Message("system", system), *messages)
    return messages


def read_prompt_and_completion(row: Row) -> tuple[Text, Text]:
    """Read prompt and completion, or the last turn of `messages` and what comes before it."""
    if "completion" in row.values or "messages" not in row.values:
        prompt = read_prompt(row)
        return prompt, read_completion(row, "completion", prompt)
    messages = read_conversation(row)
    with row.at("messages"):
        return split_conversation(messages)


def bare_answer(text: Text) -> str:
    """Return the answer of a text, its last message or all of it, without white space around it."""
    return text.strip() if isinstance(text, str) else text[-1].content.strip()


def check_different(chosen: Text, rejected: Text) -> None:
    """Refuse two answers that are the same after the same turns."""
    if not chosen or not rejected:
        return
    # The same words after other turns are another answer.
    turns = [None if isinstance(text, str) else text[:-1] for text in (chosen, rejected)]
    if turns[0] == turns[1] and bare_answer(chosen) == bare_answer(rejected):
        raise RowError(
            "chosen and rejected are identical",
            "chosen and rejected are the same text; the pair says nothing.",
            "Remove the row.",
        )
