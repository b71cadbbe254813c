"""Counting in log space agrees with adding up the worlds one by one."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.numerics import log_complement
from accordant_studies.explore.logic.counting import log_count

NAMES = ("M_w", "M_l", "R_w", "R_l")


def slow_count(table: int, chances: list[float]) -> float:
    """The definition: weights of the worlds that satisfy, added up."""
    total = 0.0
    for world in range(2 ** len(chances)):
        if table >> world & 1:
            bits = [world >> k & 1 for k in range(len(chances))]
            total += math.prod(p if b else 1 - p for p, b in zip(chances, bits, strict=True))
    return total


@given(
    table=st.integers(1, 2**16 - 1),
    chances=st.lists(st.floats(0.001, 0.999), min_size=4, max_size=4),
)
def test_log_counts_equal_the_sum_over_worlds(table: int, chances: list[float]) -> None:
    weights = {
        name: torch.tensor([math.log(p)], dtype=torch.float64)
        for name, p in zip(NAMES, chances, strict=True)
    }
    expected = math.log(slow_count(table, chances))
    assert log_count(table, NAMES, weights).item() == pytest.approx(expected, abs=1e-9)


def test_a_conjunction_is_counted_exactly_however_unlikely() -> None:
    both = 1 << 3  # the world where M_w and M_l hold
    weights = {"M_w": torch.tensor([-1e4]), "M_l": torch.tensor([-3e4])}
    assert log_count(both, ("M_w", "M_l"), weights).item() == -4e4


def test_what_a_formula_does_not_depend_on_gets_no_gradient() -> None:
    weights = {name: torch.tensor([-0.5], requires_grad=True) for name in ("M_w", "M_l")}
    chosen = 0b1010  # M_w, whatever M_l
    count = log_count(chosen, ("M_w", "M_l"), weights)
    assert count.item() == -0.5
    gradient = torch.autograd.grad(count, weights["M_l"], allow_unused=True)
    assert gradient == (None,)


def test_a_formula_that_holds_nowhere_weighs_nothing() -> None:
    weights = {"M_w": torch.tensor([-0.5])}
    with pytest.raises(ValueError, match="no world"):
        log_count(0, ("M_w",), weights)
    assert log_count(0b11, ("M_w",), weights).tolist() == [0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_complement_is_exact_and_finite_from_impossible_to_certain(dtype: torch.dtype) -> None:
    logs = torch.tensor([-1e4, -50.0, -1.0, -0.66, -0.64, -1e-3, -1e-6, 0.0], dtype=dtype)
    logs.requires_grad_()
    found = log_complement(logs)
    exact = torch.tensor([math.log(-math.expm1(x)) for x in logs.double().tolist()[:-1]])
    torch.testing.assert_close(found[:-1].float(), exact.float(), rtol=1e-5, atol=1e-12)
    (gradient,) = torch.autograd.grad(found.sum(), logs)
    assert found.isfinite().all()
    assert gradient.isfinite().all()
