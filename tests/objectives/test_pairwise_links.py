"""Other links and divergences: their formulas written out, and what they have in common."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.losses.pairwise import dpo, ipo
from accordant.objectives.losses.pairwise_links import (
    DERIVATIVES,
    LINKS,
    discopo,
    f_dpo,
    gpo,
    hinge,
)
from tests.objectives.pairs import gradients, of_log_ratios, random_pairs

SLOW_LINKS = {
    "logistic": lambda z: math.log(1 + math.exp(-z)),
    "exponential": lambda z: math.exp(-z),
    "truncated_quadratic": lambda z: max(0.0, 1 - z) ** 2,
    "squared": lambda z: (1 - z) ** 2,
    "hinge": lambda z: max(0.0, 1 - z),
    "savage": lambda z: 1 / (1 + math.exp(z)) ** 2,
}


@pytest.mark.parametrize("link", LINKS)
@given(margin=st.floats(-40, 40), beta=st.floats(0.02, 0.7))
def test_every_link_is_its_formula(link: str, margin: float, beta: float):
    loss = gpo(of_log_ratios([margin], [0.0]), link=link, beta=beta).losses.item()
    assert loss == pytest.approx(SLOW_LINKS[link](beta * margin), rel=1e-9, abs=1e-12)


def test_the_links_are_those_that_are_documented():
    assert set(SLOW_LINKS) == set(LINKS)


@given(st.integers(0, 10**6), st.floats(0.02, 2))
def test_gpo_has_dpo_hinge_and_ipo_among_its_links(seed: int, beta: float):
    pairs = random_pairs(seed)
    torch.testing.assert_close(gpo(pairs, beta=beta).losses, dpo(pairs, beta=beta).losses)
    torch.testing.assert_close(
        gpo(pairs, link="hinge", beta=beta).losses, hinge(pairs, beta=beta).losses
    )
    torch.testing.assert_close(
        gpo(pairs, link="squared", beta=beta).losses, beta**2 * ipo(pairs, tau=beta / 2).losses
    )


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


@given(st.floats(-3, 3), st.floats(0.02, 1))
def test_discopo_is_the_papers_equation(logits: float, tau: float):
    switch = 1 / (1 + math.exp(-logits / tau))
    slow = (1 - switch) * math.log(1 + math.exp(-logits)) + switch * math.exp(-logits)
    loss = discopo(of_log_ratios([logits], [0.0]), beta=1.0, tau=tau).losses.item()
    assert loss == pytest.approx(slow, rel=1e-9)


def test_discopo_first_holds_back_small_leads_of_the_wrong_answer():
    logits = [-0.5, -0.05, 0.0, 0.5]
    slopes = gradients(discopo, of_log_ratios(logits, [0.0] * 4), beta=1.0)[0]
    assert (slopes < 0).tolist() == [True, False, False, True]


SLOW_DERIVATIVES = {
    "reverse_kl": lambda u, _: math.log(u),
    "forward_kl": lambda u, _: -1 / u,
    "js_divergence": lambda u, _: math.log(u) - math.log(1 + u),
    "alpha_divergence": lambda u, alpha: (1 - u**-alpha) / alpha,
}


@pytest.mark.parametrize("divergence", DERIVATIVES)
@given(h=st.tuples(st.floats(-4, 4), st.floats(-4, 4)), alpha=st.floats(0.05, 1))
def test_f_dpo_is_the_papers_equation_for_every_divergence(divergence: str, h, alpha: float):
    slope = SLOW_DERIVATIVES[divergence]
    margin = slope(math.exp(h[0]), alpha) - slope(math.exp(h[1]), alpha)
    pairs = of_log_ratios([h[0]], [h[1]])
    loss = f_dpo(pairs, beta=0.3, divergence=divergence, alpha=alpha).losses.item()
    assert loss == pytest.approx(math.log(1 + math.exp(-0.3 * margin)), rel=1e-9)


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
