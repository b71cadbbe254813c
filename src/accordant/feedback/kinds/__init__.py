"""The kinds of feedback there are: one file each, found by being there.

A file holds `KIND`, all that is known of its kind below tokens and scores; what its scores are and
how they are measured is in `objectives.kinds`. Knows nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from accordant.base.discovery import load_modules
from accordant.feedback.kind import Asked, Kind
from accordant.feedback.records import Record, Text

# By name. Whoever adds one for a while, as a test does, puts it in here.
KINDS: dict[str, Kind[Any]] = {
    module.KIND.name: module.KIND for module in load_modules(__name__, __path__)
}

# Those that say which of several answers is better.
_ORDERED = ("comparison", "ranking", "joint_pair")


def kind_of_record(record: Record) -> Kind[Any]:
    """Return the kind of a record."""
    return next(kind for kind in KINDS.values() if kind.record is type(record))


def list_layouts() -> list[tuple[str, tuple[str, ...]]]:
    """List the kinds of record with the canonical columns of each of their layouts."""
    return [(k.name, tuple(columns.split())) for k in KINDS.values() for columns in k.layouts]


def asked_of(record: Record) -> tuple[Asked, ...]:
    """Return the prompts of a record with their answers."""
    return kind_of_record(record).asked(record)


def prompts_of(record: Record) -> tuple[Text, ...]:
    """Return the prompts of a record: one, or the two of a joint pair."""
    return tuple(asked.prompt for asked in asked_of(record))


def answers_of(record: Record) -> tuple[tuple[str, Text], ...]:
    """Return the answers of a record, each with what it is called."""
    return tuple(answer for asked in asked_of(record) for answer in asked.answers)


def preferences_of(record: Record) -> tuple[tuple[Text, Text], ...]:
    """List (preferred, other) answers of a record; ties of a ranking say nothing."""
    answers = [text for _, text in answers_of(record)]
    places = kind_of_record(record).preferred(record)
    return tuple((answers[better], answers[worse]) for better, worse in places)


def why_nothing_learnt(records: Sequence[Record]) -> str:
    """Explain why nothing can be learnt from records of one kind; empty where something can."""
    kind = kind_of_record(records[0])
    if kind.name in _ORDERED and _cancel(records):
        return "no answer is preferred to another, once contradictions cancel"
    return kind.empty(records)


def _cancel(records: Sequence[Record]) -> bool:
    """Tell whether every preference has its opposite, or there is none."""
    net: Counter[tuple[Any, Any]] = Counter()
    for record in records:
        asked = asked_of(record)
        answers = [(each.prompt, text) for each in asked for _, text in each.answers]
        for better, worse in kind_of_record(record).preferred(record):
            net[answers[better], answers[worse]] += 1
            net[answers[worse], answers[better]] -= 1
    return not any(net.values())
