"""The loss derived here is what its formula says, and keeps what it was derived for."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.inputs import Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.derived import retain_dpo
from accordant.objectives.losses.pairwise import ln_dpo
from accordant.scoring.scores import from_lists

log_p = st.floats(-6.0, -0.02)


def pairs_of(
    chosen: list[float], rejected: list[float], references: tuple[list[float], list[float]]
) -> tuple[PairwiseScores, torch.Tensor, torch.Tensor]:
    """One pair, with the leaves of the policy's log-probabilities."""
    leaves, sides = [], []
    for policy, reference in zip((chosen, rejected), references, strict=True):
        scores = from_lists([policy], dtype=torch.float64)
        scores.logps.requires_grad_()
        leaves.append(scores.logps)
        sides.append(Sequences(scores, from_lists([reference], dtype=torch.float64)))
    return PairwiseScores(*sides), *leaves


def test_a_worked_number() -> None:
    # Means: p_w = 0.5, p_l = 0.2, r_w = 0.4, r_l = 0.25, so the refused worlds weigh
    # 0.25 (1 - 0.5) (1 - 0.2) = 0.1 and the ratio is 0.5 0.25 / (0.4 (0.2 + 0.1)).
    pairs, _, _ = pairs_of(
        [math.log(0.25), 0.0],
        [math.log(0.2)],
        ([math.log(0.4)] * 2, [math.log(0.25)]),
    )
    expected = math.log1p((0.12 / 0.125) ** 2)
    assert retain_dpo(pairs, beta=2.0).losses.item() == pytest.approx(expected)


@given(log_p, log_p, log_p, log_p, st.floats(0.1, 5.0))
def test_it_is_nowhere_below_length_normalised_dpo(w, r, ref_w, ref_l, beta: float) -> None:
    pairs, _, _ = pairs_of([w, w], [r], ([ref_w, ref_w], [ref_l]))
    strong, weak = (loss(pairs, beta=beta).losses.item() for loss in (retain_dpo, ln_dpo))
    assert strong >= weak - 1e-12


@given(log_p, log_p, log_p, log_p, st.floats(0.1, 5.0))
def test_the_chosen_answer_is_pushed_harder_the_further_the_rejected_one_has_fallen(
    w, r, ref_w, ref_l, beta: float
) -> None:
    pairs, chosen, rejected = pairs_of([w], [r], ([ref_w], [ref_l]))
    up, down = torch.autograd.grad(retain_dpo(pairs, beta=beta).losses.sum(), (chosen, rejected))
    p_w, p_l, r_l = math.exp(w), math.exp(r), math.exp(ref_l)
    expected = (p_l + r_l - p_l * r_l) / (p_l * (1 - r_l + r_l * p_w))
    assert up.item() < 0 < down.item()
    assert -up.item() / down.item() == pytest.approx(expected, rel=1e-6)
    assert expected >= 1


def test_a_certain_answer_has_a_finite_loss_and_gradient() -> None:
    for values in ([0.0], [-1e4]):
        pairs, chosen, rejected = pairs_of(values, [0.0], ([-1.0], [-1.0]))
        loss = retain_dpo(pairs).losses.sum()
        gradients = torch.autograd.grad(loss, (chosen, rejected))
        assert loss.isfinite()
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_what_it_reports_as_rewards_is_what_ln_dpo_reports() -> None:
    pairs, _, _ = pairs_of([-1.0, -0.5], [-2.0], ([-0.7, -0.7], [-1.5]))
    torch.testing.assert_close(retain_dpo(pairs).rewards, ln_dpo(pairs).rewards)
