"""Ranking accuracy and its ideal, against worked numbers and against DPO's own optimum."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.checks.ranking import (
    PairLogps,
    ideal_gaps,
    needed_loss,
    ranked_right,
    vote_shares,
)

NATS = st.floats(-50, 50)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_worked_example() -> None:
    gap = column(math.log(0.1 / 0.3))
    assert float(-gap) == pytest.approx(1.098612, abs=1e-6)
    assert float(needed_loss(gap, 0.1)) == pytest.approx(0.639724, abs=1e-6)
    ideal = ideal_gaps(-gap, column(0.8), 0.1)
    assert float(ideal - -gap) == pytest.approx(13.862944, abs=1e-6)
    assert float(ideal_gaps(gap, column(0.8), 0.1)) == pytest.approx(12.764331, abs=1e-6)
    assert float(needed_loss(column(0.0), 0.1)) == pytest.approx(math.log(2), abs=1e-12)


@given(NATS, NATS, st.floats(0.01, 5))
def test_a_pair_is_ranked_right_exactly_when_its_loss_is_low_enough(
    start: float, now: float, beta: float
) -> None:
    if abs(now) < 1e-6:
        return
    loss = torch.nn.functional.softplus(column(-beta * (now - start)))
    is_low = bool(loss < needed_loss(column(start), beta))
    # Where the loss has run flat in float64, nothing can be told from it.
    if loss > 1e-12:
        assert is_low == (now > 0)


@given(NATS, st.floats(0.05, 0.95), st.floats(0.05, 2))
def test_the_ideal_gap_is_where_the_loss_of_the_votes_is_least(
    start: float, share: float, beta: float
) -> None:
    ideal = ideal_gaps(column(start), column(share), beta).requires_grad_()
    margin = beta * (ideal - start)
    softplus = torch.nn.functional.softplus
    loss = share * softplus(-margin) + (1 - share) * softplus(margin)
    assert abs(float(torch.autograd.grad(loss.sum(), ideal)[0])) < 1e-6


def test_ties_count_half_and_unanimous_votes_are_ranked_right_at_the_optimum() -> None:
    assert ranked_right(column(1.0, 0.0, -2.0)).tolist() == [1.0, 0.5, 0.0]
    ideal = ideal_gaps(column(-100.0, 100.0), column(1.0, 0.0), 0.1)
    assert ranked_right(ideal).tolist() == [1.0, 0.0]


def test_shares_of_votes_are_unknown_where_nobody_counted() -> None:
    shares = vote_shares([(3, 1), None, (0, 2), (0, 0)])
    assert shares[[0, 2]].tolist() == [0.75, 0.0]
    assert shares[[1, 3]].isnan().all()


def test_gaps_per_token_divide_each_answer_by_its_own_length() -> None:
    logps = PairLogps.of(torch.tensor([[-10.0, -12.0, 5, 12]]))
    assert logps.gaps.tolist() == [2.0]
    assert logps.gaps_per_token.tolist() == [-1.0]
