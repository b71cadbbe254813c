"""Feedback of which nothing can be learnt, of every kind that can be so."""

from __future__ import annotations

import pytest

from accordant.feedback.kinds import why_nothing_learnt
from accordant.feedback.records import (
    Binary,
    Comparison,
    Demonstration,
    JointPair,
    Ranking,
    Rating,
    Record,
    Steps,
)

MUTE: dict[str, list[Record]] = {
    "thumbs of one direction": [Binary("p", "a", True), Binary("q", "b", True)],
    "pairs that cancel": [Comparison("p", "a", "b"), Comparison("p", "b", "a")],
    "equal rewards": [Ranking("p", ("a", "b"), (1.0, 1.0)), Ranking("q", ("a", "b"), (2.0, 2.0))],
    "joint pairs that cancel": [JointPair("p", "a", "q", "b"), JointPair("q", "b", "p", "a")],
    "steps of one label": [Steps("p", ("a", "b"), (True, True))],
}
TELLING: list[list[Record]] = [
    [Binary("p", "a", True), Binary("q", "b", False)],
    [Comparison("p", "a", "b"), Comparison("q", "b", "a")],
    [Ranking("p", ("a", "b"), (1.0, 1.0)), Ranking("q", ("a", "b"))],
    [Rating("p", "a", {"x": 3.0}), Rating("p", "b", {"x": 2.0})],
    [Steps("p", ("a", "b"), (True, False))],
    [Demonstration("p", "a")],
]


@pytest.mark.parametrize("records", MUTE.values(), ids=MUTE.keys())
def test_what_tells_no_answer_from_another_is_named(records: list[Record]) -> None:
    assert why_nothing_learnt(records)


@pytest.mark.parametrize("records", TELLING)
def test_one_difference_is_enough(records: list[Record]) -> None:
    assert not why_nothing_learnt(records)
