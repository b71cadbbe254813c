"""What each check says where the feedback, or what it was given, says nothing of its question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import get_check
from accordant.feedback.records import Binary, Judgment, Origin, Ranking, Record
from tests.checks.before.feedback import comparisons, run
from tests.checks.before.modelled import make_inputs, make_model

TIED = [Ranking("Say.", ("a", "b"), (1.0, 1.0), Origin("r.jsonl", 1))]
UNJUDGED = [Judgment("p", "a", "fine"), Judgment("p", "a", "bad")]
FEW, PREFERS = "20 preferences or more", "no record prefers"


@pytest.mark.parametrize(
    ("name", "records", "kind", "reason"),
    [
        ("agreement", comparisons(), "comparison", "judged the same item twice"),
        ("agreement", UNJUDGED, "judgment", "judged the same item twice"),
        ("format-bias", comparisons(), "comparison", FEW),
        ("length-bias", TIED, "ranking", PREFERS),
        ("length-bias", [Binary("p", "a", True)], "binary", "the same label"),
        ("dissection", comparisons(10), "comparison", FEW),
        ("profile", comparisons(10), "comparison", FEW),
        ("profile", TIED, "ranking", PREFERS),
        ("positionality", comparisons(2), "comparison", r"positionality\.annotations=FILE"),
        ("weak-to-strong", comparisons(2), "comparison", r"weak-to-strong\.predictions=FILE"),
        ("leakage", comparisons(2), "comparison", "no held-out feedback"),
        ("truncation", comparisons(2), "comparison", "no model whose tokens"),
    ],
)
def test_feedback_alone_may_say_nothing(
    name: str, records: Sequence[Record], kind: str, reason: str
) -> None:
    with pytest.raises(NotApplicableError, match=reason):
        run(get_check(name), records, kind)


@pytest.mark.parametrize(
    ("name", "records", "kind", "fields", "options", "reason"),
    [
        ("ches", TIED, "ranking", {}, {}, PREFERS),
        ("reward-curve", comparisons(4), "comparison", {}, {}, "judge"),
        (
            "frontier",
            comparisons(4),
            "comparison",
            {"reward": "never asked"},
            {"max_new_tokens": 100_000},
            "room",
        ),
    ],
)
def test_with_a_model_too(
    name: str,
    records: Sequence[Record],
    kind: str,
    fields: dict[str, Any],
    options: dict[str, Any],
    reason: str,
) -> None:
    ready = make_inputs(records, kind, reference=make_model(), **fields)
    with pytest.raises(NotApplicableError, match=reason):
        get_check(name)(ready, **options)
