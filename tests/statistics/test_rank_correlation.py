"""Spearman's correlation against scipy's, and its interval against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from accordant.statistics.rank_correlation import spearman

NUMBERS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=40)


@given(NUMBERS)
def test_it_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    found = spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(found.estimate)
        return
    assert found.estimate == pytest.approx(float(spearmanr(first, second).statistic), abs=1e-9)
    assert -1 <= found.low <= found.estimate <= found.high <= 1


def test_monotone_maps_change_nothing_and_a_reversal_changes_the_sign() -> None:
    draw = np.random.default_rng(1)
    first, second = draw.normal(size=(2, 30))
    found = spearman(first, second)
    assert spearman(np.exp(first), second**3) == found
    assert spearman(-first, second).estimate == pytest.approx(-found.estimate)


def test_the_interval_covers_what_it_should() -> None:
    rho, covered = 0.6, 0
    # Spearman's correlation of a bivariate normal with correlation r is 6 / pi arcsin(r / 2).
    truth = 6 / math.pi * math.asin(rho / 2)
    draw = np.random.default_rng(2)
    for _ in range(400):
        pairs = draw.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=40)
        found = spearman(*pairs.T)
        covered += found.low <= truth <= found.high
    assert 0.92 < covered / 400 < 0.98


def test_too_few_or_constant_numbers_claim_nothing() -> None:
    assert math.isnan(spearman([1, 2, 3], [1, 2, 3]).estimate)
    assert math.isnan(spearman([1, 1, 1, 1], [1, 2, 3, 4]).low)
    perfect = spearman(range(10), range(10))
    assert perfect.estimate == perfect.high == 1
    assert perfect.low < 1
    with pytest.raises(ValueError, match="differ"):
        spearman([1, 2], [1])
