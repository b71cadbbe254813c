"""One row to its record: values checked, types converted, one function per record type.

Knows canonical rows and records. Knows nothing of files or tokens. Every mistake is a `RowError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accordant.feedback.conversations import (
    ROLES,
    Messages,
    check_not_empty,
    check_unicode,
    is_transcript,
    parse_completion,
    parse_messages,
    parse_prompt,
    parse_text,
    split_conversation,
    split_implicit,
)
from accordant.feedback.pair_details import parse_pair_details
from accordant.feedback.records import (
    Binary,
    Comparison,
    Demonstration,
    JointPair,
    Judgment,
    Message,
    Origin,
    Ranking,
    Rating,
    Record,
    Steps,
    Text,
)
from accordant.feedback.rows import Row, RowError, kind_of
from accordant.feedback.values import parse_label, parse_list, parse_number

Builder = Callable[[Row, Origin], tuple[Record, ...]]


def build_demonstration(row: Row, origin: Origin) -> tuple[Record, ...]:
    """An answer to imitate; a conversation gives one demonstration for every assistant turn."""
    if "messages" not in row.values:
        return (Demonstration(*_prompt_and_completion(row), origin),)
    column = row.name("messages")
    messages = _conversation(row)
    split_conversation(messages, column)
    ends = [n for n, message in enumerate(messages, 1) if message.role == "assistant"]
    parts = (split_conversation(messages[:end], column) for end in ends)
    return tuple(Demonstration(prompt, answer, origin) for prompt, answer in parts)


def build_binary(row: Row, origin: Origin) -> tuple[Record, ...]:
    """An answer with a thumb."""
    label = parse_label(row.require("label"), row.name("label"))
    return (Binary(*_prompt_and_completion(row), label, origin),)


def build_comparison(row: Row, origin: Origin) -> tuple[Record, ...]:
    """Two answers; without a `prompt` column the prompt is what both begin with."""
    columns = (row.name("chosen"), row.name("rejected"))
    values = (row.require("chosen"), row.require("rejected"))
    if "prompt" in row.values and not _repeats_prompt(row.values.get("prompt"), values):
        prompt = _prompt(row)
        given = row.require("prompt")
        chosen = _completion(values[0], prompt, given, columns[0])
        rejected = _completion(values[1], prompt, given, columns[1])
    else:
        wholes = [parse_text(value, column) for value, column in zip(values, columns, strict=True)]
        _check_different(wholes[0], wholes[1], columns[1])
        prompt, chosen, rejected = split_implicit(wholes[0], wholes[1], columns)
    _check_different(chosen, rejected, columns[1])
    return (Comparison(prompt, chosen, rejected, origin, *parse_pair_details(row)),)


def build_joint_pair(row: Row, origin: Origin) -> tuple[Record, ...]:
    """Two prompt-and-answer pairs."""
    sides: list[tuple[Text, Text]] = []
    for name in ("chosen", "rejected"):
        given = row.require(f"{name}_prompt")
        prompt = parse_prompt(given, row.name(f"{name}_prompt"))
        sides.append((prompt, _completion(row.require(name), prompt, given, row.name(name))))
    (chosen_prompt, chosen), (rejected_prompt, rejected) = sides
    if isinstance(chosen_prompt, str) != isinstance(rejected_prompt, str):
        raise RowError(
            "mixed plain and conversational",
            "one prompt is plain text and the other a list of messages.",
            column=row.name("rejected_prompt"),
            mend="Write both as strings or both as lists of messages.",
        )
    if chosen_prompt == rejected_prompt:
        _check_different(chosen, rejected, row.name("rejected"))
    return (JointPair(chosen_prompt, chosen, rejected_prompt, rejected, origin),)


def build_ranking(row: Row, origin: Origin) -> tuple[Record, ...]:
    """Several answers, put best first by `rewards`, `scores` or `ranks` where given."""
    prompt = _prompt(row)
    column = row.name("completions")
    values = parse_list(row.require("completions"), column)
    if len(values) < 2:
        raise RowError(
            "too few completions",
            f"a ranking has at least 2 completions, found {len(values)}.",
            column=column,
            mend="Remove the row, or give single answers as prompt and completion.",
        )
    given = row.require("prompt")
    answers = [_completion(value, prompt, given, column) for value in values]
    if len(set(map(_stripped, answers))) == 1:
        raise RowError("identical completions", "all completions are identical.", column=column)
    by = [name for name in ("rewards", "scores", "ranks") if row.values.get(name) is not None]
    if len(by) > 1:
        raise RowError(
            "order given twice",
            f"the order is given by {' and '.join(by)}, expected one of them.",
            column=row.name(by[1]),
            mend="Keep the column that decides.",
        )
    if not by:
        return (Ranking(prompt, tuple(answers), None, origin),)
    rewards = _rewards(row, by[0], len(answers))
    order = sorted(range(len(answers)), key=lambda n: -rewards[n])
    ranked = tuple(answers[n] for n in order)
    return (Ranking(prompt, ranked, tuple(rewards[n] for n in order), origin),)


def build_rating(row: Row, origin: Origin) -> tuple[Record, ...]:
    """An answer rated on named attributes: an object `ratings`, or one column per attribute."""
    prompt, completion = _prompt_and_completion(row)
    value = row.require("ratings")
    column = row.name("ratings")
    if not isinstance(value, Mapping):
        ratings = {"rating": parse_number(value, column)}
    elif column:
        # One object in one column: tables write attributes that were not rated as null.
        items = {str(k): v for k, v in value.items() if v is not None}
        ratings = {k: parse_number(v, column, f"of {k} ") for k, v in items.items()}
    else:
        ratings = {str(k): parse_number(v, str(k)) for k, v in value.items()}
    if not ratings:
        raise RowError("missing value", "no attribute is rated.", column=column)
    ratings = {name.removeprefix("ratings."): number for name, number in ratings.items()}
    return (Rating(prompt, completion, ratings, origin),)


def build_judgment(row: Row, origin: Origin) -> tuple[Record, ...]:
    """An answer with feedback in words and, where `is_good` or `label` is given, a verdict."""
    prompt, completion = _prompt_and_completion(row)
    column = row.name("judgment")
    judgment = row.require("judgment")
    if not isinstance(judgment, str):
        raise RowError(
            "content is not text", f"found {kind_of(judgment)}, expected a string.", column=column
        )
    check_unicode(judgment, column)
    if not judgment.strip():
        raise RowError("empty judgment", "the judgment is empty.", column=column)
    named = "is_good" if row.values.get("is_good") is not None else "label"
    verdict = row.values.get(named)
    is_good = None if verdict is None else parse_label(verdict, row.name(named))
    return (Judgment(prompt, completion, judgment, is_good, origin),)


def build_steps(row: Row, origin: Origin) -> tuple[Record, ...]:
    """A solution in steps with a label for each."""
    prompt = _prompt(row)
    column, label_column = row.name("completions"), row.name("labels")
    steps = parse_list(row.require("completions"), column)
    labels = parse_list(row.require("labels"), label_column)
    if not steps or len(steps) != len(labels):
        raise RowError(
            "lengths do not match",
            f"found {len(steps)} steps and {len(labels)} labels, expected one label per step.",
            column=label_column,
        )
    for step in steps:
        if not isinstance(step, str):
            raise RowError(
                "content is not text",
                f"a step is {kind_of(step)}, expected a string.",
                column=column,
            )
        check_unicode(step, column)
        check_not_empty(step, column)
    texts = tuple(str(step) for step in steps)
    return (Steps(prompt, texts, tuple(parse_label(v, label_column) for v in labels), origin),)


BUILDERS: dict[str, Builder] = {
    "demonstration": build_demonstration,
    "binary": build_binary,
    "comparison": build_comparison,
    "joint_pair": build_joint_pair,
    "ranking": build_ranking,
    "rating": build_rating,
    "judgment": build_judgment,
    "steps": build_steps,
}


# --- values -------------------------------------------------------------------------------------


def _rewards(row: Row, name: str, count: int) -> list[float]:
    """Numbers to sort by, higher is better: ranks (1 is best) count as their negatives."""
    column = row.name(name)
    values = parse_list(row.require(name), column)
    if len(values) != count:
        raise RowError(
            "lengths do not match",
            f"found {len(values)} {name} for {count} completions.",
            column=column,
        )
    sign = -1.0 if name == "ranks" else 1.0
    return [sign * parse_number(value, column) for value in values]


def _stripped(text: Text) -> str:
    return text.strip() if isinstance(text, str) else text[-1].content.strip()


def _check_different(chosen: Text, rejected: Text, column: str) -> None:
    if not (chosen and rejected and _before_last(chosen) == _before_last(rejected)):
        return
    if _stripped(chosen) == _stripped(rejected):
        raise RowError(
            "chosen and rejected are identical",
            "chosen and rejected are the same text; the pair says nothing.",
            column=column,
            mend="Remove the row.",
        )


def _before_last(text: Text) -> Messages | None:
    return None if isinstance(text, str) else text[:-1]


# --- prompts and completions --------------------------------------------------------------------


def _repeats_prompt(prompt: object, wholes: tuple[object, object]) -> bool:
    """Whether the prompt is a string that both conversations hold as their user message."""
    if not isinstance(prompt, str) or not all(isinstance(w, list) and len(w) > 1 for w in wholes):
        return False
    firsts = [m for w in wholes if isinstance(w, list) for m in w if isinstance(m, dict)]
    users = [m for m in firsts if ROLES.get(str(m.get("role", m.get("from")))) == "user"]
    return any(m.get("content", m.get("value")) == prompt for m in users)


def _prompt(row: Row) -> Text:
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


def _completion(value: object, prompt: Text, given: object, column: str) -> Text:
    """Read an answer; a plain one becomes a message where only our reading made the prompt one.

    `given` is the prompt as the row writes it: with a system column, a history or an HH transcript
    a plain prompt was read as messages.
    """
    if isinstance(value, str) and isinstance(given, str) and not isinstance(prompt, str):
        text = value.strip() if is_transcript(given) else value
        value = [{"role": "assistant", "content": text}]
    return parse_completion(value, prompt, column)


def _conversation(row: Row) -> Messages:
    column = row.name("messages")
    value = row.require("messages")
    messages = parse_messages(parse_list(value, column), column)
    system = row.values.get("system")
    if isinstance(system, str) and system and messages[:1] and messages[0].role != "system":
        messages = (Message("system", system), *messages)
    return messages


def _prompt_and_completion(row: Row) -> tuple[Text, Text]:
    """Read prompt and completion, or the last turn of `messages` and what comes before it."""
    if "completion" in row.values or "messages" not in row.values:
        prompt = _prompt(row)
        given = row.require("prompt")
        completion = row.require("completion")
        return prompt, _completion(completion, prompt, given, row.name("completion"))
    return split_conversation(_conversation(row), row.name("messages"))
