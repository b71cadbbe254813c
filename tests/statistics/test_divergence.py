"""k3 against the divergence of two distributions that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.statistics.divergence import k3


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6), st.integers(0, 99))
def test_its_expectation_is_the_divergence(weights: list[float], seed: int) -> None:
    p = np.array(weights) / sum(weights)
    q = np.random.default_rng(seed).dirichlet(np.ones(len(p))) + 1e-3
    q /= q.sum()
    ratios = np.log(p) - np.log(q)
    assert p @ k3(ratios) == pytest.approx(p @ ratios, abs=1e-9)
    assert (k3(ratios) >= 0).all()
    assert k3(0.0) == 0
