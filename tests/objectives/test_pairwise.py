"""Pairwise losses against slow float64 references, worked numbers and each other."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.inputs import Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.pairwise import (
    dove,
    dove_joint,
    dpo,
    ipo,
    robust_dpo,
    rpo,
    tdpo,
)
from accordant.scoring.scores import Scores, from_lists
from tests.objectives.pairs import answers, gradients, random_pairs

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


def test_ipo_pulls_a_margin_beyond_its_target_back_and_dpo_does_not():
    for loss, pulls_back in (
        (lambda p: ipo(p, tau=0.1), True),
        (lambda p: dpo(p, beta=0.1), False),
    ):
        pairs = pairs_with_margins([50.0])  # the target is 5
        chosen = pairs.chosen.policy.logps.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(pairs).losses.sum(), chosen)
        assert (gradient.item() > 0) is pulls_back


# rpo (S18)


def test_rpo_worked_number():
    pairs = PairwiseScores(answers([[-20.0]], [[-25.0]]), answers([[-1.0]], [[-1.0]]))
    assert rpo(pairs, beta=0.1, eta=0.005).losses.item() == pytest.approx(0.484077, abs=1e-6)


@given(st.integers(0, 10**6), st.floats(0.01, 2), st.floats(0, 1))
def test_rpo_never_stops_raising_the_chosen_answer_and_leaves_the_rejected_to_dpo(
    seed: int, beta: float, eta: float
):
    pairs = random_pairs(seed, count=1)
    margin = (pairs.chosen.log_ratio() - pairs.rejected.log_ratio()).item()
    raised, lowered = gradients(rpo, pairs, beta=beta, eta=eta)
    expected = -beta * (sigmoid(-beta * margin) + eta)
    assert raised.tolist() == pytest.approx([expected] * len(raised), rel=1e-6)
    assert (raised <= -beta * eta).all()
    torch.testing.assert_close(lowered, gradients(dpo, pairs, beta=beta)[1])


# ln_dpo (S19)


# robust_dpo and exo


@given(st.floats(-20, 20), st.floats(0, 0.45))
def test_robust_dpo_is_dpo_on_average_over_flipped_labels(margin: float, share: float):
    right, flipped = robust_dpo(
        pairs_with_margins([margin, -margin]), beta=0.2, label_smoothing=share
    ).losses.tolist()
    clean = dpo(pairs_with_margins([margin]), beta=0.2).losses.item()
    assert (1 - share) * right + share * flipped == pytest.approx(clean, rel=1e-6, abs=1e-9)


# dove (S43)


@given(st.integers(0, 10**6), st.floats(0.01, 2))
def test_dove_after_one_prompt_is_dpo_whether_the_prompt_is_scored_or_not(seed: int, beta: float):
    pairs = random_pairs(seed, count=2)
    prompt = answers([[-0.5, -2.0], [-1.0, -0.1]], [[-0.7, -1.0], [-1.5, -0.3]])
    joint = PairwiseScores(joined(prompt, pairs.chosen), joined(prompt, pairs.rejected))
    plain = dpo(pairs, beta=beta).losses
    torch.testing.assert_close(dove(pairs, beta=beta).losses, plain)
    torch.testing.assert_close(dove_joint(joint, beta=beta).losses, plain)


def test_dove_joint_adds_what_the_policy_thinks_of_the_prompts():
    chosen, rejected = answers([[-1.0]], [[-1.0]]), answers([[-1.0]], [[-1.0]])
    likelier, other = answers([[-2.0]], [[-5.0]]), answers([[-4.0]], [[-4.0]])
    pairs = PairwiseScores(joined(likelier, chosen), joined(other, rejected))
    loss = dove_joint(pairs, beta=0.1).losses.item()
    assert loss == pytest.approx(-math.log(sigmoid(0.1 * 3)))


# tdpo


@given(st.integers(0, 10**6), st.floats(0.01, 2), st.floats(0, 1))
def test_tdpo_sends_no_gradient_through_the_chosen_answers_divergence(
    seed: int, beta: float, alpha: float
):
    pairs = random_pairs(seed, count=1)
    chosen, rejected = gradients(tdpo, pairs, beta=beta, alpha=alpha)
    slope = beta * (1 - math.exp(-tdpo(pairs, beta=beta, alpha=alpha).losses.item()))
    assert chosen.tolist() == pytest.approx([-slope] * len(chosen))
    # d/dh of h + alpha (exp(h) - 1 - h), token by token.
    ratios = pairs.rejected.token_log_ratios().detach()
    torch.testing.assert_close(rejected, slope * (1 + alpha * (ratios.exp() - 1)))


def test_tdpos_divergence_is_the_kl_on_average_over_answers_of_the_reference():
    policy, reference = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    kl = (reference * (reference / policy).log()).sum().item()
    token = answers(policy.log().unsqueeze(1).tolist(), reference.log().unsqueeze(1).tolist())
    output = tdpo(PairwiseScores(token, token))
    assert output.metrics is not None
    mean = (reference.double() * output.metrics["divergence/rejected"]).sum().item()
    assert mean == pytest.approx(kl, rel=1e-5)


def joined(prompts: Sequences, completions: Sequences) -> Sequences:
    """Answers with their prompts' tokens before them, as `ScoredPrompts` has them."""

    def rows(first: Scores | None, second: Scores | None) -> list[list[float]]:
        assert first is not None
        assert second is not None
        return [
            [*first.logps[first.owner == i].tolist(), *second.logps[second.owner == i].tolist()]
            for i in range(second.count)
        ]

    return answers(
        rows(prompts.policy, completions.policy), rows(prompts.reference, completions.reference)
    )
