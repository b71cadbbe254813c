"""Prompts and answers of one row, with the system columns and histories that belong to them.

Knows canonical rows and texts. Knows nothing of files, kinds or tokens. Every mistake is a
`RowError`.
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
from accordant.feedback.rows import Row, RowError, kind_of
from accordant.feedback.values import parse_list


def read_prompt(row: Row) -> Text:
    """Read the prompt with what belongs to it: Alpaca's input and history, a system column."""
    column = row.name("prompt")
    prompt = parse_prompt(row.require("prompt"), column)
    if not isinstance(prompt, str):
        return prompt
    extra = row.values.get("input") if column == "instruction" else None
    if isinstance(extra, str) and extra.strip():
        prompt = f"{prompt}\n{extra}" if prompt.strip() else extra
    if not _adds_turns(row):
        return prompt
    return (*_earlier_turns(row), Message("user", prompt))


def _adds_turns(row: Row) -> bool:
    alpaca = row.name("prompt") == "instruction" and "history" in row.values
    return "system" in row.values or alpaca


def _earlier_turns(row: Row) -> Messages:
    turns: list[Message] = []
    system = row.values.get("system")
    if system is not None and not isinstance(system, str):
        raise RowError(
            "content is not text",
            f"found {kind_of(system)}, expected a string.",
            column=row.name("system"),
        )
    if system:
        turns.append(Message("system", system))
    for pair in parse_list(row.values.get("history") or [], row.name("history")):
        if not isinstance(pair, list) or [type(text) for text in pair] != [str, str]:
            raise RowError(
                "content is not text",
                "every item of the history is a pair of strings: what the user said, the answer.",
                column=row.name("history"),
            )
        turns += [Message("user", pair[0]), Message("assistant", pair[1])]
    return tuple(turns)


def read_completion(value: object, prompt: Text, given: object, column: str) -> Text:
    """Read an answer; a plain one becomes a message where only our reading made the prompt one.

    `given` is the prompt as the row writes it: with a system column, a history or an HH transcript
    a plain prompt was read as messages.
    """
    if isinstance(value, str) and isinstance(given, str) and not isinstance(prompt, str):
        text = value.strip() if is_transcript(given) else value
        value = [{"role": "assistant", "content": text}]
    return parse_completion(value, prompt, column)


def read_conversation(row: Row) -> Messages:
    """Read a whole conversation, with the system column in front where it has no such message."""
    column = row.name("messages")
    messages = parse_messages(parse_list(row.require("messages"), column), column)
    system = row.values.get("system")
    if isinstance(system, str) and system and messages[:1] and messages[0].role != "system":
        messages = (Message("system", system), *messages)
    return messages


def read_prompt_and_completion(row: Row) -> tuple[Text, Text]:
    """Read prompt and completion, or the last turn of `messages` and what comes before it."""
    if "completion" in row.values or "messages" not in row.values:
        prompt = read_prompt(row)
        given = row.require("prompt")
        completion = row.require("completion")
        return prompt, read_completion(completion, prompt, given, row.name("completion"))
    return split_conversation(read_conversation(row), row.name("messages"))


def stripped(text: Text) -> str:
    """Return the answer of a text, its last message or all of it, without white space around it."""
    return text.strip() if isinstance(text, str) else text[-1].content.strip()


def check_different(chosen: Text, rejected: Text, column: str) -> None:
    """Refuse two answers that are the same after the same turns."""
    same_turns = chosen and rejected and _before_last(chosen) == _before_last(rejected)
    if same_turns and stripped(chosen) == stripped(rejected):
        raise RowError(
            "chosen and rejected are identical",
            "chosen and rejected are the same text; the pair says nothing.",
            column=column,
            mend="Remove the row.",
        )


def _before_last(text: Text) -> Messages | None:
    return None if isinstance(text, str) else text[:-1]
