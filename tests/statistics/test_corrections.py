"""Holm's correction against the closed test it stands for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.statistics.corrections import bonferroni, holm


@given(st.lists(st.sampled_from([1e-6, 0.004, 0.01, 0.02, 0.05, 0.3, 1.0]), max_size=7))
def test_it_rejects_what_no_set_of_hypotheses_saves(p_values: list[float]) -> None:
    # A hypothesis falls when Bonferroni rejects every set of hypotheses that it is in.
    count, expected = len(p_values), [True] * len(p_values)
    for size in range(1, count + 1):
        for members in itertools.combinations(range(count), size):
            if min(p_values[i] for i in members) > 0.05 / size:
                for i in members:
                    expected[i] = False
    assert holm(p_values, 0.05).tolist() == expected


def test_any_false_rejection_is_as_rare_as_it_says() -> None:
    draws = np.random.default_rng(0).uniform(size=(4000, 12))
    assert np.mean([holm(row, 0.05).any() for row in draws]) < 0.06


def test_bonferroni_multiplies_and_stops_at_one() -> None:
    assert bonferroni(0.004, 20) == pytest.approx(0.08)
    assert bonferroni(0.3, 20) == 1
