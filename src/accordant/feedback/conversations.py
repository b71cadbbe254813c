"""Prompts and completions out of row values: messages, roles, transcripts.

Knows strings and lists of messages in the field's spellings (OpenAI, ShareGPT, HH transcripts).
Knows nothing of columns, files, record types or tokens. Every mistake is a `RowError`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace

from accordant.base.errors import UserError
from accordant.feedback.records import Message, Text
from accordant.feedback.rows import RowError, kind_of
from accordant.feedback.values import parse_answer, parse_list, parse_string

ROLES = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    # Spellings of ShareGPT and LLaMA-Factory.
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "observation": "tool",
    # OpenAssistant's.
    "prompter": "user",
}
# Message fields that change what the model would read; a `Message` cannot carry them.
UNSUPPORTED_FIELDS = ("tool_calls", "function_call", "thinking", "reasoning_content", "images")
# After a blank line alone: "Human:" within a turn is what somebody wrote.
TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant):")
SPEAKERS = {"Human": "user", "Assistant": "assistant"}

Messages = tuple[Message, ...]


def parse_text(value: object) -> Text:
    """Read a string or a list of messages (a single message may stand without its list)."""
    if isinstance(value, str):
        return parse_string(value)
    if isinstance(value, dict | list | tuple):
        return parse_messages([value] if isinstance(value, dict) else value)
    raise RowError(
        "content is not text",
        f"found {kind_of(value)}, expected a string or a list of messages.",
        "Write the text as a string, or as [{'role': ..., 'content': ...}, ...].",
    )


def parse_messages(value: object) -> Messages:
    """Read messages with `role`/`content` or ShareGPT's `from`/`value`."""
    return tuple(_parse_message(item, number) for number, item in enumerate(parse_list(value), 1))


def _parse_message(item: object, number: int) -> Message:
    if not isinstance(item, dict):
        raise RowError(
            "content is not text",
            f"item {number} is {kind_of(item)}, expected a message with a role and a content.",
            "Write messages as [{'role': 'user', 'content': '...'}, ...].",
        )
    # Parquet gives every message the fields of all, null where it has none.
    role = item.get("role", item.get("from"))
    content = item.get("content", item.get("value"))
    if extra := next((field for field in UNSUPPORTED_FIELDS if item.get(field)), None):
        raise RowError(
            "unsupported message field",
            f"message {number} has a '{extra}', which would not reach the model.",
            "Write it into the content as the model should read it, or leave it out.",
        )
    if not isinstance(role, str) or role not in ROLES:
        raise RowError(
            "unknown role",
            f"message {number} has the role {role!r}, expected one of system, user, assistant, "
            "tool (or ShareGPT's human, gpt, observation).",
        )
    if isinstance(content, list) and content and all(map(_is_text_part, content)):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise RowError(
            "content is not text",
            f"the content of message {number} is {kind_of(content)}, expected a string.",
            "Only text is aligned: write every content as one string.",
        )
    return Message(ROLES[role], parse_string(content))


def _is_text_part(part: object) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)


def role_of(message: object) -> str | None:
    """Return the role of a message as a row writes it, None where it is none we know."""
    if not isinstance(message, dict):
        return None
    return ROLES.get(str(message.get("role", message.get("from"))))


def check_prompt(messages: Messages) -> Messages:
    """Return a prompt: an optional system message, then turns from the user's side to its side."""
    roles = [message.role for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    problem = ""
    if not turns:
        problem = "the conversation has no user message"
    elif "system" in turns:
        problem = "a system message stands after the first place"
    elif turns[0] != "user":
        problem = f"the conversation begins with the role '{turns[0]}', expected 'user'"
    elif turns[-1] == "assistant":
        problem = "the prompt ends with an assistant message, expected 'user' (or 'tool')"
    if problem:
        raise RowError("wrong roles", f"{problem}.")
    return messages


def parse_prompt(value: object) -> Text:
    """Read a prompt; an HH transcript that ends in `Assistant:` becomes messages."""
    prompt = parse_text(value)
    if isinstance(prompt, str):
        if not is_transcript(prompt) or not prompt.rstrip().endswith("\n\nAssistant:"):
            return prompt
        prompt = parse_transcript(prompt)[:-1]
    return check_prompt(prompt)


def parse_completion(value: object, prompt: Text) -> Text:
    """Read an answer to `prompt`, of the same kind (plain or conversational) as the prompt.

    A conversational answer is one assistant message; messages of the prompt before it, as some
    data sets repeat them, are taken off.
    """
    completion = parse_text(value)
    if isinstance(completion, str) and isinstance(prompt, str):
        return parse_answer(completion)
    if isinstance(completion, str) or isinstance(prompt, str):
        kinds = {True: "plain text", False: "a list of messages"}
        raise mixed_forms(
            f"the prompt is {kinds[isinstance(prompt, str)]} but the completion is "
            f"{kinds[isinstance(completion, str)]}."
        )
    if len(completion) > 1 and completion[: len(prompt)] == prompt:
        completion = completion[len(prompt) :]
    if len(completion) != 1:
        raise RowError(
            "wrong roles",
            f"the completion has {len(completion)} messages, expected one assistant message.",
            "Move the earlier turns to the prompt.",
        )
    return _check_answer(completion)


def mixed_forms(message: str) -> RowError:
    """Return the error for a row that is partly plain and partly conversational."""
    mend = "Write both as strings or both as lists of messages."
    return RowError("mixed plain and conversational", message, mend)


def split_conversation(messages: Messages) -> tuple[Messages, Messages]:
    """Split a whole conversation into its prompt and its last, assistant's, message."""
    if not messages:
        raise RowError("wrong roles", "the conversation has no messages.")
    answer = _check_answer(messages[-1:])
    return check_prompt(messages[:-1]), answer


def _check_answer(answer: Messages) -> Messages:
    if answer[0].role != "assistant":
        raise RowError(
            "wrong roles",
            f"the last message has the role '{answer[0].role}', expected 'assistant'.",
            "End every conversation with the assistant's answer.",
        )
    parse_answer(answer[0].content)
    return answer


def is_transcript(text: str) -> bool:
    """Tell whether `text` is an HH transcript: '\\n\\nHuman: ...\\n\\nAssistant: ...'."""
    start = TURN.match(text)
    return start is not None and start[1] == "Human" and "\n\nAssistant:" in text


def parse_transcript(text: str) -> Messages:
    """Read an HH transcript as messages, white space around each turn removed."""
    parts = TURN.split(text)
    turns = zip(parts[1::2], parts[2::2], strict=True)
    return tuple(Message(SPEAKERS[speaker], turn.strip()) for speaker, turn in turns)


def common_length(first: str, second: str) -> int:
    """Return the length of the longest common beginning."""
    # By bisection: comparing slices runs at C speed, comparing characters does not.
    return bisect_left(
        range(min(len(first), len(second))),
        True,
        key=lambda last: first[: last + 1] != second[: last + 1],
    )


def rewrite_question(prompt: Text, rewrite: Callable[[str], str]) -> Text:
    """Return the prompt with its question rewritten: its last user message, or all of it.

    Raises:
        UserError: a conversation without a user message.
    """
    if isinstance(prompt, str):
        return rewrite(prompt)
    users = [place for place, message in enumerate(prompt) if message.role == "user"]
    if not users:
        raise UserError("the prompt has no user message that anything could be put into.")
    last = users[-1]
    message = replace(prompt[last], content=rewrite(prompt[last].content))
    return (*prompt[:last], message, *prompt[last + 1 :])
