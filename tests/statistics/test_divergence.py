"""k3 against the divergence of two distributions that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.statistics.divergence import k3, withhold_impossible
from accordant.statistics.estimates import paired_difference
from accordant.statistics.interval import Interval


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6), st.integers(0, 99))
def test_its_expectation_is_the_divergence(weights: list[float], seed: int) -> None:
    p = np.array(weights) / sum(weights)
    q = np.random.default_rng(seed).dirichlet(np.ones(len(p))) + 1e-3
    q /= q.sum()
    ratios = np.log(p) - np.log(q)
    assert p @ k3(ratios) == pytest.approx(p @ ratios, abs=1e-9)
    assert (k3(ratios) >= 0).all()
    assert k3(0.0) == 0


def test_no_divergence_is_surely_negative_and_few_samples_give_no_interval() -> None:
    below, few = Interval(-0.8, -1.0, -0.6, 20), Interval(0.3, 0.1, 0.5, 4)
    for interval in (below, few):
        withheld = withhold_impossible(interval)
        assert withheld.estimate == interval.estimate
        assert math.isnan(withheld.low)
        assert math.isnan(withheld.high)
    for interval in (Interval(0.1, -0.2, 0.4, 5), Interval(0.3, 0.1, 0.5, 9)):
        assert withhold_impossible(interval) == interval


def test_no_change_in_three_is_no_certainty() -> None:
    change = paired_difference([0.0, 1.0, 0.0], [0.0, 1.0, 0.0])
    assert change.estimate == 0
    assert math.isnan(change.low)
