"""A reproduction says yes exactly when every part of the claim's shape shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from accordant.base.errors import UserError
from accordant.catalogue.system import System
from accordant.statistics.interval import Interval
from accordant_studies.reproduce import (
    Check,
    Measurement,
    Reproduction,
    beats,
    not_worse,
    over_seeds,
    run_reproduction,
)

numbers = st.lists(st.floats(min_value=-10, max_value=10), min_size=2, max_size=12)


@given(values=numbers)
def test_the_interval_over_seeds_is_students(values: list[float]) -> None:
    interval = over_seeds(values)
    error = max(float(stats.sem(values)), 1e-12)  # no spread at all has no t interval in scipy
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=error)
    assert interval.low == pytest.approx(low, abs=1e-9)
    assert interval.high == pytest.approx(high, abs=1e-9)
    assert interval.count == len(values)


def test_the_interval_over_seeds_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = [
        interval.low <= 1.0 <= interval.high
        for interval in (over_seeds(list(row)) for row in generator.normal(1.0, 2.0, (2000, 5)))
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_one_seed_shows_nothing() -> None:
    assert math.isnan(over_seeds([5.0]).low)
    assert not beats("a beats b", [5.0], [0.0]).holds


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_seed_without_a_finite_number_shows_nothing(odd: float) -> None:
    interval = over_seeds([1.0, odd, 2.0])
    assert math.isnan(interval.low)
    assert interval.count == 3
    assert not beats("a beats b", [5.0, odd, 5.1], [0.0, 0.0, 0.0]).holds


def test_pairing_by_seed_removes_what_seeds_differ_in() -> None:
    seeds = [0.0, 10.0, 20.0, 30.0]
    better = [s + 1 + 0.01 * s for s in seeds]
    assert beats("better beats worse", better, seeds).holds
    assert not beats("worse beats better", seeds, better).holds
    with pytest.raises(ValueError, match="zip"):
        beats("unpaired", [1.0, 2.0], [1.0])


def test_not_worse_forgives_the_margin_and_no_more() -> None:
    baseline = [1.0, 1.1, 0.9, 1.0]
    slightly = [b - 0.05 for b in baseline]
    assert not_worse("kept", slightly, baseline, margin=0.1).holds
    assert not not_worse("kept", slightly, baseline, margin=0.01).holds
    with pytest.raises(ValueError, match="positive"):
        not_worse("kept", slightly, baseline, margin=0.0)


@given(lows=st.lists(st.floats(min_value=-1, max_value=1), min_size=1, max_size=5))
def test_the_shape_shows_when_all_checks_hold(lows: list[float]) -> None:
    checks = tuple(Check("part", Interval(low + 1, low, low + 2, 3)) for low in lows)
    assert Reproduction((), checks, (0, 1, 2)).shows == all(low > 0 for low in lows)


def test_a_reproduction_without_checks_is_refused() -> None:
    with pytest.raises(ValueError, match="shows nothing"):
        Reproduction((Measurement("a", "b", Interval(1, 0, 2, 3)),), (), (0,))


def test_a_planned_system_says_so() -> None:
    planned = System("S00", "toy", "Toy", "rewards", "Nothing.", "A claim.")
    with pytest.raises(UserError, match="planned"):
        run_reproduction(planned)
