"""Ratings crossed by items and annotators: weights as repetition, and a variance that is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from accordant.statistics.crossed import (
    Ratings,
    item_means,
    shared_tables,
    standard_error,
    t_quantile,
    table_of,
    weighted_r,
)

EVERYTHING = np.ones(40, bool)


def draw_ratings(seed: int, people: int = 12, rated: int = 20) -> Ratings:
    draw = np.random.default_rng(seed)
    items = np.concatenate([draw.choice(40, rated, replace=False) for _ in range(people)])
    return Ratings(items, np.repeat(np.arange(people), rated), draw.normal(size=len(items)))


def test_tables_hold_one_group_and_means_are_its_items() -> None:
    ratings = draw_ratings(0)
    groups = ["a"] * 5 + [None] + ["b"] * 6
    own = table_of(ratings, groups, "b", EVERYTHING)
    assert own.people == 6
    assert len(own.values) == 6 * 20
    rows = ratings.annotators > 5
    raw = ratings.values[rows]
    for item, mean in zip(own.pool, item_means(own), strict=True):
        expected = raw[ratings.items[rows] == item].mean() - raw.mean()
        assert mean == pytest.approx(expected)


def test_shared_tables_hold_the_same_items() -> None:
    ratings = draw_ratings(1, people=6, rated=10)
    groups = ["a", "a", "a", "b", "b", "b"]
    first, second = shared_tables(ratings, groups, ("a", "b"), EVERYTHING)
    assert first.pool.tolist() == second.pool.tolist()
    sets = [set(ratings.items[np.isin(ratings.annotators, own)]) for own in ([0, 1, 2], [3, 4, 5])]
    assert set(first.pool) == sets[0] & sets[1]


@given(seed=st.integers(0, 10**6))
def test_weights_of_items_are_repetitions(seed: int) -> None:
    draw = np.random.default_rng(seed)
    own = table_of(draw_ratings(seed), ["a"] * 12, "a", EVERYTHING)
    numbers = draw.normal(size=len(own.pool))
    copies = draw.integers(0, 4, len(own.pool))
    copies[:3] = 1
    (found,) = weighted_r(own, copies[own.items][None].astype(float), numbers, 0 * numbers)
    means = item_means(own)
    expected = pearsonr(np.repeat(means, copies), np.repeat(numbers, copies)).statistic
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_standard_error_is_that_of_crossed_effects() -> None:
    """Of a grand mean it is known: sI^2 / I + sA^2 / A + s^2 / n."""
    draw = np.random.default_rng(3)
    items, people, sizes = 40, 25, (0.8, 0.5, 1.0)
    found = []
    for seed in range(12):
        by_item, by_person = sizes[0] * draw.normal(size=items), sizes[1] * draw.normal(size=people)
        where = np.stack(np.meshgrid(np.arange(items), np.arange(people)), -1).reshape(-1, 2)
        noise = sizes[2] * draw.normal(size=len(where))
        ratings = Ratings(
            where[:, 0], where[:, 1], by_item[where[:, 0]] + by_person[where[:, 1]] + noise
        )
        own = table_of(ratings, ["a"] * people, "a", EVERYTHING)

        def mean(weights: Sequence[np.ndarray], values: np.ndarray = own.values) -> np.ndarray:
            return (weights[0] * values).sum(1) / weights[0].sum(1)

        found.append(standard_error((own,), mean, (300, seed)) ** 2)
    expected = sizes[0] ** 2 / items + sizes[1] ** 2 / people + sizes[2] ** 2 / (items * people)
    assert np.mean(found) == pytest.approx(expected, rel=0.2)


def test_the_quantile_counts_the_fewest_units() -> None:
    own = table_of(draw_ratings(4), ["a"] * 12, "a", EVERYTHING)
    assert t_quantile((own,), 0.95) == pytest.approx(2.201, abs=1e-3)  # 11 degrees of freedom
    assert not math.isnan(t_quantile((own,), 0.999))
