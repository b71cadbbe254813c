"""Records as texts: prompts, answers and passages to show.

Knows records. Knows nothing of tokens, models or checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from accordant.checks.findings import FindingRow, Passage
from accordant.feedback.records import (
    Binary,
    Comparison,
    JointPair,
    Judgment,
    Ranking,
    Rating,
    Record,
    Steps,
    Text,
    flat,
)


def key_of(text: Text) -> str:
    """Return a key that is the same for texts that differ in white space alone."""
    if isinstance(text, str):
        return " ".join(text.split())
    return "\n".join(f"{message.role}: {' '.join(message.content.split())}" for message in text)


def prompts_of(record: Record) -> tuple[Text, ...]:
    """Return the record's prompt, or the two of a joint pair."""
    if isinstance(record, JointPair):
        return record.chosen_prompt, record.rejected_prompt
    return (record.prompt,)


def answers_of(record: Record) -> tuple[tuple[str, Text], ...]:
    """Return the record's answers, each with what it is called."""
    match record:
        case Comparison() | JointPair():
            return ("chosen", record.chosen), ("rejected", record.rejected)
        case Ranking():
            return tuple(
                (f"answer {place}", answer) for place, answer in enumerate(record.completions, 1)
            )
        case Steps():
            return tuple((f"step {place}", step) for place, step in enumerate(record.steps, 1))
        case _:
            return (("answer", record.completion),)


def passages_of(record: Record) -> tuple[Passage, ...]:
    """Return all texts of a record in full, and what was said of it."""
    return tuple(_passages(record))


def preferred(count: int, rewards: Sequence[float] | None) -> list[tuple[int, int]]:
    """List (preferred, other) places of `count` answers that stand in order, the best first.

    Args:
        rewards: of the answers, not rising; equal ones are a tie, which says nothing. None where
            the order has no ties.
    """
    return [
        (better, worse)
        for better, worse in combinations(range(count), 2)
        if rewards is None or rewards[better] > rewards[worse]
    ]


def record_row(
    record: Record,
    value: float,
    note: str = "",
    *,
    also: Iterable[Record] = (),
    passages: Iterable[Passage] | None = None,
) -> FindingRow:
    """Make the row of a finding that shows a record.

    Args:
        record: the record.
        value: its number.
        note: what is wrong with it.
        also: further records that it concerns.
        passages: texts to show; all of the record when None.
    """
    others = tuple(other.origin for other in also if other.origin is not None)
    shown = passages_of(record) if passages is None else tuple(passages)
    return FindingRow(value, shown, record.origin, others, note)


def preference_row(
    record: Record, better: int, worse: int, value: float, note: str = ""
) -> FindingRow:
    """Make the row that shows one preference; of a ranking it names the two answers."""
    if isinstance(record, Ranking):
        places = f"answer {better + 1} over {worse + 1}"
        note = f"{places}; {note}" if note else places
    return record_row(record, value, note)


def preferences_of(record: Record) -> tuple[tuple[Text, Text], ...]:
    """List (preferred, other) answers of a record; ties of a ranking say nothing."""
    match record:
        case Comparison() | JointPair():
            return ((record.chosen, record.rejected),)
        case Ranking(completions=answers, rewards=rewards):
            return tuple((answers[i], answers[j]) for i, j in preferred(len(answers), rewards))
        case _:
            return ()


def _passages(record: Record) -> Iterator[Passage]:
    if isinstance(record, JointPair):
        yield Passage("chosen prompt", flat(record.chosen_prompt))
        yield Passage("chosen", flat(record.chosen))
        yield Passage("rejected prompt", flat(record.rejected_prompt))
        yield Passage("rejected", flat(record.rejected))
        return
    yield Passage("prompt", flat(record.prompt))
    for label, answer in answers_of(record):
        yield Passage(label, flat(answer))
    match record:
        case Binary():
            yield Passage("label", "desirable" if record.label else "undesirable")
        case Judgment():
            verdict = {True: " (good)", False: " (bad)", None: ""}[record.is_good]
            yield Passage("judgment", record.judgment + verdict)
        case Rating():
            scores = ", ".join(f"{name} {value:g}" for name, value in record.ratings.items())
            yield Passage("ratings", scores)
        case Comparison(votes=(wanted, unwanted)):
            yield Passage("votes", f"{wanted} for the chosen, {unwanted} for the rejected answer")
        case _:
            return
