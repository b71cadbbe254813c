"""iREPO's reproduction runs, repeats itself, and shows the order of what it measures."""

from __future__ import annotations

import math

import pytest

from accordant.catalogue.reproductions import irepo


def test_it_measures_every_condition_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(irepo, "BETAS", {"irepo": (0.5,), "dpo": (4.0,)})
    monkeypatch.setattr(irepo, "ROUNDS", 1)
    monkeypatch.setattr(irepo, "PAIRS", 60)
    monkeypatch.setattr(irepo, "DISTANCES", (0.02,))
    result = irepo.reproduce((0, 1))
    assert {row.condition for row in result.rows} == {*irepo.METHODS, irepo.FEW, irepo.MANY}
    assert len(result.checks) == 5
    assert result == irepo.reproduce((0, 1))


def test_between_two_points_of_a_frontier_gold_is_interpolated_and_beyond_it_unknown() -> None:
    frontier = [(0.0, 1.0), (0.2, 2.0), (0.6, 4.0)]
    assert irepo._interpolate(frontier, 0.1) == pytest.approx(1.5)
    assert irepo._interpolate(frontier, 0.5) == pytest.approx(3.5)
    assert math.isnan(irepo._interpolate(frontier, 0.7))


@pytest.mark.study
def test_the_shape_shows() -> None:
    assert irepo.reproduce(None).shows
