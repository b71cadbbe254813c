"""Other links and divergences: their formulas written out, and what they have in common."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.losses.pairwise import dpo
from accordant.objectives.losses.pairwise_links import (
    DERIVATIVES,
    LINKS,
    discopo,
    f_dpo,
    gpo,
    hinge,
)
from tests.objectives.pairs import gradients, of_log_ratios, random_pairs


@pytest.mark.parametrize("link", LINKS)
def test_extreme_margins_of_every_link_are_finite_in_float32(link: str):
    margins = torch.tensor([-1e4, -1e3, 0.0, 1e3, 1e4], requires_grad=True)
    losses = LINKS[link](margins)
    (slopes,) = torch.autograd.grad(losses.sum(), margins)
    assert losses.isfinite().all()
    assert slopes.isfinite().all()


def test_only_savage_lets_go_of_pairs_that_are_badly_misordered():
    for link in LINKS:
        near, far = (
            gradients(gpo, of_log_ratios([h], [0.0]), link=link, beta=1.0)[0].abs().item()
            for h in (-1.0, -30.0)
        )
        assert (far < near) is (link == "savage")


def test_hinge_leaves_pairs_alone_that_lead_far_enough():
    chosen, rejected = gradients(hinge, of_log_ratios([9.0, 11.0], [0.0, 0.0]), beta=0.1)
    assert chosen.tolist() == [-0.1, 0.0]
    assert rejected.tolist() == [0.1, 0.0]


def test_discopo_first_holds_back_small_leads_of_the_wrong_answer():
    logits = [-0.5, -0.05, 0.0, 0.5]
    slopes = gradients(discopo, of_log_ratios(logits, [0.0] * 4), beta=1.0)[0]
    assert (slopes < 0).tolist() == [True, False, False, True]


@given(st.integers(0, 10**6), st.floats(0.02, 2))
def test_the_alpha_divergence_lies_between_the_two_kls(seed: int, beta: float):
    pairs = random_pairs(seed)

    def of(divergence: str, alpha: float = 0.5) -> torch.Tensor:
        return f_dpo(pairs, beta=beta, divergence=divergence, alpha=alpha).losses

    torch.testing.assert_close(of("reverse_kl"), dpo(pairs, beta=beta).losses)
    torch.testing.assert_close(of("alpha_divergence", 1.0), of("forward_kl"))
    torch.testing.assert_close(of("alpha_divergence", 1e-7), of("reverse_kl"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("divergence", DERIVATIVES)
def test_every_divergence_rewards_likelier_answers_more_and_stays_finite(divergence: str):
    h = torch.tensor([-1e4, -40.0, -1.0, 0.0, 1.0, 40.0, 1e4], requires_grad=True)
    rewards = DERIVATIVES[divergence](h, 0.5)
    (slopes,) = torch.autograd.grad(rewards.sum(), h)
    assert rewards.isfinite().all()
    assert slopes.isfinite().all()
    assert (slopes >= 0).all()
    assert (rewards.diff() >= 0).all()
