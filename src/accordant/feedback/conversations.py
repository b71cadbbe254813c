"""Prompts and completions out of row values: messages, roles, transcripts, implicit prompts.

Knows strings and lists of messages in the field's spellings (OpenAI, ShareGPT, HH transcripts).
Knows nothing of files, record types or tokens. Every mistake is a `RowError`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from accordant.feedback.records import Message, Text
from accordant.feedback.rows import RowError, excerpt, kind_of

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
}
# Message fields that change what the model would read; a `Message` cannot carry them.
UNSUPPORTED_FIELDS = ("tool_calls", "function_call", "thinking", "reasoning_content", "images")
TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant):")
SENTENCE_END = re.compile(r"[.?!](?=\s)")

Messages = tuple[Message, ...]


def parse_text(value: object, column: str) -> Text:
    """Read a string or a list of messages (a single message may stand without its list)."""
    if isinstance(value, str):
        check_unicode(value, column)
        return value
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list | tuple):
        return parse_messages(value, column)
    raise RowError(
        "content is not text",
        f"found {kind_of(value)}, expected a string or a list of messages.",
        column=column,
        mend="Write the text as a string, or as [{'role': ..., 'content': ...}, ...].",
    )


def parse_messages(value: Sequence[object], column: str) -> Messages:
    """Read messages with `role`/`content` or ShareGPT's `from`/`value`."""
    return tuple(_parse_message(item, number, column) for number, item in enumerate(value, 1))


def _parse_message(item: object, number: int, column: str) -> Message:
    if not isinstance(item, dict):
        raise RowError(
            "content is not text",
            f"item {number} is {kind_of(item)}, expected a message with a role and a content.",
            column=column,
            mend="Write messages as [{'role': 'user', 'content': '...'}, ...].",
        )
    role = item.get("role", item.get("from"))
    content = item.get("content", item.get("value"))
    for field in UNSUPPORTED_FIELDS:
        if item.get(field):
            raise RowError(
                "unsupported message field",
                f"message {number} has a '{field}', which would not reach the model.",
                column=column,
                mend="Write it into the content as the model should read it, or leave it out.",
            )
    if not isinstance(role, str) or role not in ROLES:
        raise RowError(
            "unknown role",
            f"message {number} has the role {role!r}, expected one of system, user, assistant, "
            "tool (or ShareGPT's human, gpt, observation).",
            column=column,
        )
    if not isinstance(content, str):
        raise RowError(
            "content is not text",
            f"the content of message {number} is {kind_of(content)}, expected a string.",
            column=column,
            mend="Only text is aligned: write every content as one string.",
        )
    check_unicode(content, column)
    return Message(ROLES[role], content)


def check_unicode(text: str, column: str) -> None:
    """Refuse lone surrogates: no tokenizer can read them."""
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RowError(
            "broken Unicode",
            f"character {error.start + 1} is half of a surrogate pair.",
            column=column,
            mend="Write the file again as UTF-8 with whole characters.",
        ) from None


def check_prompt_roles(messages: Messages, column: str) -> None:
    """Require an optional system message, then turns that begin and end on the user's side."""
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
        raise RowError("wrong roles", f"{problem}.", column=column)


def parse_prompt(value: object, column: str) -> Text:
    """Read a prompt; an HH transcript that ends in `Assistant:` becomes messages."""
    prompt = parse_text(value, column)
    if isinstance(prompt, str):
        if not is_transcript(prompt) or not prompt.rstrip().endswith("\n\nAssistant:"):
            return prompt
        prompt = parse_transcript(prompt, column)[:-1]
    check_prompt_roles(prompt, column)
    return prompt


def parse_completion(value: object, prompt: Text, column: str) -> Text:
    """Read an answer to `prompt`, of the same kind (plain or conversational) as the prompt.

    A conversational answer is one assistant message; messages of the prompt before it, as some
    data sets repeat them, are taken off.
    """
    completion = parse_text(value, column)
    if isinstance(completion, str) or isinstance(prompt, str):
        if not (isinstance(completion, str) and isinstance(prompt, str)):
            raise _mixed(prompt, completion, column)
        check_not_empty(completion, column)
        return completion
    if len(completion) > 1 and completion[: len(prompt)] == prompt:
        completion = completion[len(prompt) :]
    if len(completion) != 1:
        raise RowError(
            "wrong roles",
            f"the completion has {len(completion)} messages, expected one assistant message.",
            column=column,
            mend="Move the earlier turns to the prompt.",
        )
    check_answer(completion[0], column)
    return completion


def check_answer(message: Message, column: str) -> None:
    """Require an assistant message that says something."""
    if message.role != "assistant":
        raise RowError(
            "wrong roles",
            f"the last message has the role '{message.role}', expected 'assistant'.",
            column=column,
            mend="End every conversation with the assistant's answer.",
        )
    check_not_empty(message.content, column)


def check_not_empty(text: str, column: str) -> None:
    """Refuse a completion of nothing or white space."""
    if not text.strip():
        raise RowError(
            "empty completion",
            "the completion is empty." if not text else "the completion is only white space.",
            column=column,
            mend="Remove the row or write the answer.",
        )


def _mixed(prompt: Text, completion: Text, column: str) -> RowError:
    kinds = {True: "plain text", False: "a list of messages"}
    return RowError(
        "mixed plain and conversational",
        f"the prompt is {kinds[isinstance(prompt, str)]} but the completion is "
        f"{kinds[isinstance(completion, str)]}.",
        column=column,
        mend="Write both as strings or both as lists of messages.",
    )


def split_conversation(messages: Messages, column: str) -> tuple[Messages, Messages]:
    """Split a whole conversation into its prompt and its last, assistant's, message."""
    if not messages:
        raise RowError("wrong roles", "the conversation has no messages.", column=column)
    prompt, answer = messages[:-1], messages[-1:]
    check_answer(answer[0], column)
    check_prompt_roles(prompt, column)
    return prompt, answer


# --- implicit prompts ---------------------------------------------------------------------------


def is_transcript(text: str) -> bool:
    """Tell whether `text` is an HH transcript: '\\n\\nHuman: ...\\n\\nAssistant: ...'."""
    start = TURN.match(text)
    return start is not None and start[1] == "Human" and "\n\nAssistant:" in text


def parse_transcript(text: str, column: str) -> Messages:
    """Read an HH transcript as messages, white space around each turn removed."""
    check_unicode(text, column)
    parts = TURN.split(text)
    roles = {"Human": "user", "Assistant": "assistant"}
    return tuple(
        Message(roles[speaker], turn.strip())
        for speaker, turn in zip(parts[1::2], parts[2::2], strict=True)
    )


def split_implicit(
    chosen: Text, rejected: Text, columns: tuple[str, str]
) -> tuple[Text, Text, Text]:
    """Find the prompt that chosen and rejected share, and take it off both.

    Conversations share all but their last message. HH transcripts are read as conversations.
    Other strings share their common beginning, cut after its last line break, else after its last
    sentence, else before its last word.

    Returns:
        prompt, chosen, rejected.
    """
    if isinstance(chosen, str) and isinstance(rejected, str):
        if not (is_transcript(chosen) and is_transcript(rejected)):
            return _split_plain(chosen, rejected, columns)
        chosen = parse_transcript(chosen, columns[0])
        rejected = parse_transcript(rejected, columns[1])
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise RowError(
            "mixed plain and conversational",
            "one of chosen and rejected is plain text and the other a list of messages.",
            column=columns[1],
            mend="Write both as strings or both as lists of messages.",
        )
    if not chosen or not rejected:
        raise RowError(
            "empty completion",
            "the conversation has no messages.",
            column=columns[0] if not chosen else columns[1],
        )
    check_same_prompt(chosen, rejected, columns[1])
    prompt, chosen = split_conversation(chosen, columns[0])
    _, rejected = split_conversation(rejected, columns[1])
    return prompt, chosen, rejected


def check_same_prompt(chosen: Messages, rejected: Messages, column: str) -> None:
    """Require that two conversations differ in their last messages only."""
    if chosen[:-1] == rejected[:-1]:
        return
    pairs = enumerate(zip(chosen[:-1], rejected[:-1], strict=False), 1)
    first = next((n for n, (a, b) in pairs if a != b), min(len(chosen), len(rejected)))
    raise RowError(
        "chosen and rejected have different prompts",
        f"chosen ({len(chosen)} messages) and rejected ({len(rejected)} messages) part at message "
        f"{first}, expected them to differ in the last message only.",
        column=column,
        mend="Remove the row, or compare whole conversations with the columns chosen_prompt, "
        "chosen, rejected_prompt, rejected.",
    )


def _split_plain(chosen: str, rejected: str, columns: tuple[str, str]) -> tuple[str, str, str]:
    length = common_length(chosen, rejected)
    if length == min(len(chosen), len(rejected)):
        # One continues the other: without the cut below the shorter would have no completion.
        length = max(length - 1, 0)
    cut = _sensible_cut(chosen[:length])
    if cut == 0:
        raise RowError(
            "no common prompt",
            f"chosen and rejected share no beginning to take as the prompt: "
            f"{excerpt(chosen, 30)} and {excerpt(rejected, 30)}.",
            column=columns[1],
            mend="Add a column `prompt` (an empty string where there is none).",
        )
    check_not_empty(chosen[cut:], columns[0])
    check_not_empty(rejected[cut:], columns[1])
    return chosen[:cut], chosen[cut:], rejected[cut:]


def common_length(a: str, b: str) -> int:
    """Return the length of the longest common beginning, by bisection on slices (C speed)."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _sensible_cut(shared: str) -> int:
    line = shared.rfind("\n") + 1
    if line and shared[:line].strip():
        return line
    ends = [match.end() for match in SENTENCE_END.finditer(shared)]
    if ends:
        return ends[-1]
    # The blank goes with the completion, as byte-pair tokens carry their leading blank.
    return max(len(shared.rstrip(" ")) if shared.endswith(" ") else shared.rfind(" "), 0)
