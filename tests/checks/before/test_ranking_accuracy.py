"""The check of ranking accuracy: against log-probabilities that are known."""

from __future__ import annotations

import math

import pytest
import torch

from accordant.base.errors import UserError
from accordant.checks.before.ranking_accuracy import ranking_accuracy
from accordant.checks.findings import Finding
from accordant.checks.inputs import CheckInputs
from accordant.checks.pair_pass import PAIRS, PairPass
from accordant.checks.pairs import list_pairs
from accordant.checks.ranking import PairLogps
from accordant.feedback.records import Comparison, Origin
from tests.checks.before.feedback import dropped
from tests.checks.before.modelled import make_inputs


def known(gaps: list[float], votes: list[tuple[int, int] | None] | None = None) -> CheckInputs:
    """Pairs with these gaps in nats; the rejected answer has twice the tokens."""
    votes = votes or [None] * len(gaps)
    records = [
        Comparison("Say.", f"yes {row}", f"no {row}", Origin("known.jsonl", row), votes=vote)
        for row, vote in enumerate(votes, 1)
    ]
    ready = make_inputs(records)
    assert ready.encoded is not None
    rows = [[gap - 40.0, -40.0, 4.0, 8.0] for gap in gaps]
    logps = PairLogps.of(torch.tensor(rows, dtype=torch.float64))
    pairs = tuple(list_pairs(ready.encoded.examples))
    ready.shared[PAIRS.key()] = PairPass(pairs, logps, torch.zeros(len(gaps), 3))
    return ready


def measure(found: Finding, name: str) -> float:
    return next(one.number.estimate for one in found.measures if one.name == name)


def test_accuracies_are_shares_with_ties_counted_half() -> None:
    found = ranking_accuracy(known([3.0, 1.0, 0.0, -1.0]))
    assert measure(found, "ranking accuracy") == 2.5 / 4
    assert measure(found, "ties, counted half") == 0.25
    # Means per token favour the longer answer here: -40 / 4 against -40 / 8.
    assert measure(found, "ranking accuracy, per token") == 0
    assert measure(found, "idealised ranking accuracy at 75%") == 1
    assert found.severity == "ok"
    assert [row.value for row in found.rows] == [1.0]
    assert "0.6444" in found.rows[0].note  # log(1 + exp(-0.1))


def test_the_ideal_is_given_for_a_range_of_assumed_shares() -> None:
    beta = 0.1
    reach = {share: math.log(share / (1 - share)) / beta for share in (0.6, 0.75, 0.9)}
    gaps = [-reach[0.6] - 1, -reach[0.75] - 1, -reach[0.9] - 1, 5.0]
    found = ranking_accuracy(known(gaps), beta=beta)
    ideals = [measure(found, f"idealised ranking accuracy at {p}%") for p in (60, 75, 90)]
    assert ideals == [0.25, 0.5, 0.75]
    assert found.number.estimate == 0.5
    assert found.severity == "warning"
    assert "75%" in found.sentence
    assert found.charts[0].marks[1].value == pytest.approx(-reach[0.75])


def test_votes_take_the_place_of_assumptions() -> None:
    votes: list[tuple[int, int] | None] = [(9, 1), (6, 4), (5, 0), (2, 3)]
    found = ranking_accuracy(known([-10.0, -10.0, -1000.0, 1.0], votes))
    names = [one.name for one in found.measures]
    assert "idealised ranking accuracy by votes" in names
    assert not any("at 75%" in name for name in names)
    # 9 of 10 carry 21.97 nats at beta 0.1, 6 of 10 carry 4.05, all carry any, 2 of 5 pull back.
    assert measure(found, "idealised ranking accuracy by votes") == 0.5
    assert "by their votes" in found.sentence


def test_pairs_that_stay_wrong_are_left_out_only_when_asked() -> None:
    ready = known([-50.0, 4.0, -60.0, 2.0, -1.0])
    assert ranking_accuracy(ready).drop == ()
    assert dropped(ranking_accuracy(ready, drop_wrong=True)) == [3, 1]


def test_few_wrong_pairs_are_no_warning() -> None:
    assert ranking_accuracy(known([5.0] * 99 + [-50.0])).severity == "ok"
    assert ranking_accuracy(known([5.0] * 9 + [-50.0])).severity == "info"
    assert ranking_accuracy(known([5.0] * 90 + [-50.0] * 30)).severity == "warning"


def test_an_assumption_outside_its_range_is_refused() -> None:
    with pytest.raises(UserError, match="between"):
        ranking_accuracy(known([1.0]), preferred=0.95)


def test_a_real_model_gives_the_numbers_of_its_pass() -> None:
    records = [
        Comparison("Say.", "a b c", "the lazy dog jumps", Origin("m.jsonl", 1)),
        Comparison("Say.", "the quick brown fox", "x", Origin("m.jsonl", 2)),
    ]
    ready = make_inputs(records)
    found = ranking_accuracy(ready)
    gaps = PAIRS.read(ready).logps.gaps
    assert measure(found, "ranking accuracy") == float((gaps > 0).double().mean())
