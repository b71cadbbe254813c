"""Pairs turned right and wrong, by hand-made log-probabilities and by a changed model."""

from __future__ import annotations

import pytest
import torch

from accordant.checks.after.ranking_change import ranking_change
from accordant.checks.findings import Finding
from accordant.checks.pair_pass import PAIRS, REFERENCE_LOGPS, PairPass
from accordant.checks.pairs import list_pairs
from accordant.checks.ranking import PairLogps
from tests.checks.after.trained import trained
from tests.checks.before.feedback import comparisons
from tests.checks.before.modelled import make_model


def logps(gaps: list[float], level: float = -30.0) -> PairLogps:
    count = len(gaps)
    columns = torch.tensor([[level + gap, level, 8, 12] for gap in gaps])
    assert columns.shape == (count, 4)
    return PairLogps.of(columns)


def judged(before: list[float], after: list[float]) -> Finding:
    """The check on pairs with these gaps before and after."""
    ready = trained(comparisons(len(before)), lambda model: model)
    assert ready.encoded is not None
    pairs = tuple(list_pairs(ready.encoded.examples))
    ready.shared[PAIRS.key()] = PairPass(pairs, logps(after), torch.zeros(len(after), 3))
    ready.shared[REFERENCE_LOGPS.key()] = logps(before)
    return ranking_change(ready)


def test_it_counts_the_pairs_that_turned() -> None:
    before = [1.0, 2.0, -1.0, -2.0, 0.0] * 8
    after = [1.5, -1.0, 1.0, 2.0, 3.0] * 8
    found = judged(before, after)
    assert found.number.estimate == pytest.approx(0.8 - 0.5)
    assert found.severity == "ok"
    assert found.concerned == 8
    assert "Turned right: 24; turned wrong: 8." in found.sentence
    assert {row.value for row in found.rows} == {-3.0}
    measured = {one.name: one.number.estimate for one in found.measures}
    assert measured["ranking accuracy before"] == pytest.approx(0.5)
    assert measured["accuracy of the implicit reward"] == pytest.approx(0.8)


def test_learnt_margins_without_learnt_rankings_are_a_warning() -> None:
    before = [-9.0 - place for place in range(40)]
    found = judged(before, [gap + 4.0 for gap in before])
    assert found.number.estimate == 0
    assert found.severity == "warning"
    assert found.mend


def test_rankings_that_were_right_already_are_no_warning() -> None:
    before = [2.0] * 39 + [-9.0]
    assert judged(before, [gap + 1.0 for gap in before]).severity == "info"


def test_rankings_that_got_worse_are_serious() -> None:
    found = judged([1.0] * 40, [-1.0] * 30 + [1.0] * 10)
    assert found.severity == "serious"
    assert found.number.high < 0


def test_nothing_learnt_is_told_apart_from_margins_learnt() -> None:
    gaps = [float(place % 5 - 2) for place in range(40)]
    assert judged(gaps, gaps).severity == "info"


def test_both_models_are_read() -> None:
    records = comparisons(12)
    ready = trained(records, lambda _: make_model(3))
    found = ranking_change(ready)
    swapped = ranking_change(trained(records, lambda model: model, reference=make_model(3)))
    measured, other = (
        {one.name: one.number.estimate for one in finding.measures} for finding in (found, swapped)
    )
    assert measured["ranking accuracy after"] == other["ranking accuracy before"]
    key = "change of the chosen answers' log-probability"
    assert measured[key] == pytest.approx(-other[key], abs=1e-4)
    assert measured[key] != 0
