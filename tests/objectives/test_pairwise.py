"""Pairwise losses against slow float64 references, worked numbers and each other."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.inputs import PairwiseScores, Sequences
from accordant.objectives.pairwise import dpo, ipo
from accordant.scoring.scores import from_lists

logps = st.lists(st.floats(-6, -0.01), min_size=1, max_size=4)
pair = st.tuples(logps, logps, st.integers(0, 10**6))


def pairs_with_margins(margins: list[float], dtype=torch.float64) -> PairwiseScores:
    """Pairs whose margin of log-ratios is given; the reference gives every answer -1."""

    def sequences(totals: list[float]) -> Sequences:
        reference = from_lists([[-1.0] for _ in totals], dtype=dtype)
        return Sequences(from_lists([[t] for t in totals], dtype=dtype), reference)

    return PairwiseScores(sequences(margins), sequences([0.0 for _ in margins]))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@given(st.lists(pair, min_size=1, max_size=4), st.floats(0.01, 2), st.floats(0, 0.49))
def test_dpo_is_the_papers_equation(rows, beta: float, smoothing: float):
    reference = [[-0.5 - 0.1 * k for k in range(len(tokens))] for row in rows for tokens in row[:2]]
    policy = [tokens for row in rows for tokens in row[:2]]

    def sequences(offset: int) -> Sequences:
        return Sequences(
            from_lists(policy[offset::2], dtype=torch.float64),
            from_lists(reference[offset::2], dtype=torch.float64),
        )

    output = dpo(PairwiseScores(sequences(0), sequences(1)), beta=beta, label_smoothing=smoothing)
    for i in range(len(rows)):
        chosen = sum(policy[2 * i]) - sum(reference[2 * i])
        rejected = sum(policy[2 * i + 1]) - sum(reference[2 * i + 1])
        p = sigmoid(beta * (chosen - rejected))
        slow = -(1 - smoothing) * math.log(p) - smoothing * math.log(1 - p)
        assert output.losses[i].item() == pytest.approx(slow, rel=1e-6, abs=1e-9)
        assert output.rewards[i].item() == pytest.approx(beta * chosen)
        assert output.rewards[len(rows) + i].item() == pytest.approx(beta * rejected)


@pytest.mark.parametrize(
    ("beta_margin", "smoothing", "loss"),
    # -log sigmoid(1.2 + 0.4), and the smoothed loss at 0.5 with a tenth of the labels wrong.
    [(1.6, 0.0, 0.183901), (0.5, 0.1, 0.524077), (1.2, 0.0, 0.263282), (0.0, 0.3, math.log(2))],
)
def test_dpo_worked_numbers(beta_margin: float, smoothing: float, loss: float):
    output = dpo(pairs_with_margins([beta_margin / 0.1]), beta=0.1, label_smoothing=smoothing)
    assert output.losses.item() == pytest.approx(loss, abs=1e-6)


@given(st.floats(0.01, 0.49), st.floats(0.05, 2))
def test_smoothed_dpo_is_least_where_the_label_is_trusted_as_far_as_it_is_right(
    smoothing: float, beta: float
):
    best = math.log((1 - smoothing) / smoothing) / beta
    at, below, above = dpo(
        pairs_with_margins([best, best - 0.1, best + 0.1]), beta=beta, label_smoothing=smoothing
    ).losses.tolist()
    assert at < below
    assert at < above


@given(st.floats(-30, 30), st.floats(0.05, 2))
def test_dpo_cannot_tell_a_wrong_margin_from_a_swapped_pair(margin: float, beta: float):
    pairs = pairs_with_margins([margin])
    swapped = PairwiseScores(pairs.rejected, pairs.chosen)
    assert dpo(swapped, beta=beta).losses.item() == pytest.approx(
        dpo(pairs_with_margins([-margin]), beta=beta).losses.item()
    )


def test_ipo_worked_number():
    assert ipo(pairs_with_margins([0.8]), tau=0.5).losses.item() == pytest.approx(0.04)


@given(st.floats(0.02, 3), st.floats(-20, 20))
def test_ipo_is_the_squared_distance_to_its_target(tau: float, margin: float):
    at_target = ipo(pairs_with_margins([1 / (2 * tau)]), tau=tau).losses.item()
    assert at_target == pytest.approx(0, abs=1e-20)
    off = ipo(pairs_with_margins([margin]), tau=tau).losses.item()
    assert off == pytest.approx((margin - 0.5 / tau) ** 2)


def test_ipo_pulls_a_margin_beyond_its_target_back_and_dpo_does_not():
    for loss, pulls_back in (
        (lambda p: ipo(p, tau=0.1), True),
        (lambda p: dpo(p, beta=0.1), False),
    ):
        pairs = pairs_with_margins([50.0])  # the target is 5
        chosen = pairs.chosen.policy.logps.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(pairs).losses.sum(), chosen)
        assert (gradient.item() > 0) is pulls_back


def test_ipo_sums_over_tokens_and_does_not_average():
    once, twice = (
        PairwiseScores(
            Sequences(from_lists([[-1.0] * k]), from_lists([[-2.0] * k])),
            Sequences(from_lists([[-1.0]]), from_lists([[-1.0]])),
        )
        for k in (1, 2)
    )
    assert ipo(once, tau=0.5).losses.item() == pytest.approx(0.0)
    assert ipo(twice, tau=0.5).losses.item() == pytest.approx(1.0)
