"""Records as texts: prompts, answers and passages to show.

Knows records. Knows nothing of tokens, models or checks.
"""

from __future__ import annotations

from collections.abc import Iterable

from accordant.checks.findings import FindingRow, Passage
from accordant.feedback.kinds import answers_of, asked_of, kind_of_record
from accordant.feedback.records import Record, Text, flat


def key_of(text: Text) -> str:
    """Return a key that is the same for texts that differ in white space alone."""
    if isinstance(text, str):
        # White space is what editors and exports change.
        return " ".join(text.split())
    return "\n".join(f"{message.role}: {' '.join(message.content.split())}" for message in text)


def passages_of(record: Record) -> tuple[Passage, ...]:
    """Return all texts of a record in full, and what was said of it."""
    texts = [
        Passage(name, flat(text))
        for asked in asked_of(record)
        for name, text in ((asked.name, asked.prompt), *asked.answers)
    ]
    remarks = kind_of_record(record).remarks(record)
    return (*texts, *(Passage(name, text) for name, text in remarks))


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
    name = answers_of(record)[better][0]
    # Names such as `chosen` say which is preferred; those of a ranking say the place.
    if name != "chosen":
        places = f"{name} over {worse + 1}"
        note = f"{places}; {note}" if note else places
    return record_row(record, value, note)
