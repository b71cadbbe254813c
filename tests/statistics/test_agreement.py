"""Krippendorff's alpha against its definition, worked examples and relatives."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.statistics.agreement import krippendorff_alpha, pairwise_agreement


def slow_alpha(items, distance):
    """The definition: mean difference within items over mean difference of any two values."""
    items = [values for values in items if len(values) > 1]
    total = sum(map(len, items))
    observed = sum(
        sum(distance(a, b) for a, b in itertools.permutations(values, 2)) / (len(values) - 1)
        for values in items
    )
    pooled = [value for values in items for value in values]
    expected = sum(distance(a, b) for a, b in itertools.permutations(pooled, 2)) / (total - 1)
    return 1 - observed / expected if expected else math.nan


DISTANCES = {"nominal": lambda a, b: float(a != b), "interval": lambda a, b: (a - b) ** 2}
some_items = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=8)


@pytest.mark.parametrize("metric", DISTANCES)
@settings(max_examples=60, deadline=None)
@given(items=some_items)
def test_alpha_is_its_definition(metric, items):
    judged = [values for values in items if len(values) > 1]
    found = krippendorff_alpha(items, metric, resamples=20)
    if not judged:
        assert math.isnan(found.estimate)
        return
    wanted = slow_alpha(items, DISTANCES[metric])
    if math.isnan(wanted):
        assert math.isnan(found.estimate)
    else:
        assert found.estimate == pytest.approx(wanted, abs=1e-9)


def test_the_reliability_data_of_krippendorff():
    # Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section C and E: 12 units,
    # 4 observers, missing values; alpha 0.743 nominal and 0.849 interval.
    observers = (
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    )
    columns = zip(*(line.split() for line in observers), strict=True)
    items = [[float(value) for value in column if value != "."] for column in columns]
    assert krippendorff_alpha(items, "nominal").estimate == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(items, "interval").estimate == pytest.approx(0.849, abs=5e-4)


def test_scale_and_place_do_not_matter_to_intervals():
    generator = np.random.default_rng(0)
    items = [list(generator.normal(size=3) + 1e4) for _ in range(30)]
    moved = [[3 * value - 7 for value in values] for values in items]
    first, second = (krippendorff_alpha(i, "interval").estimate for i in (items, moved))
    assert first == pytest.approx(second, abs=1e-6)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    # Two people who say the same fair coin, or each their own, with equal odds: alpha is 1/2.
    generator, inside = np.random.default_rng(5), 0
    for _ in range(100):
        coins = generator.integers(0, 2, (120, 2))
        same = generator.random(120) < 0.5
        coins[same, 1] = coins[same, 0]
        found = krippendorff_alpha(coins.tolist(), resamples=400)
        inside += found.low <= 0.5 <= found.high
    assert 88 <= inside <= 100


def test_pairwise_agreement_is_the_share_of_equal_pairs():
    found = pairwise_agreement([[1, 1, 0], [1, 1], [2]])
    assert found.estimate == pytest.approx((2 + 2) / (6 + 2))
    assert found.count == 2
