"""Pairwise losses against slow float64 references, worked numbers and each other."""

from __future__ import annotations

import math
from dataclasses import replace

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
    exo,
    ipo,
    ln_dpo,
    robust_dpo,
    rpo,
    tdpo,
)
from accordant.objectives.losses.pairwise_reference_free import simpo
from accordant.scoring.scores import Scores, from_lists
from tests.objectives.pairs import answers, gradients, of_log_ratios, random_pairs

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


@given(st.integers(0, 10**6), st.floats(0.02, 3))
def test_length_normalised_ipo_is_ipo_of_log_ratios_per_token(seed: int, tau: float):
    pairs = random_pairs(seed)
    normalised = ipo(pairs, tau=tau, length_normalised=True).losses
    chosen = pairs.chosen.log_ratio() / pairs.chosen.policy.lengths
    rejected = pairs.rejected.log_ratio() / pairs.rejected.policy.lengths
    alone = ipo(of_log_ratios(chosen.tolist(), rejected.tolist()), tau=tau).losses
    torch.testing.assert_close(normalised, alone)


# rpo (S18)


@given(st.integers(0, 10**6), st.floats(0.01, 2))
def test_rpo_without_sft_term_is_dpo(seed: int, beta: float):
    pairs = random_pairs(seed)
    torch.testing.assert_close(rpo(pairs, beta=beta, eta=0.0).losses, dpo(pairs, beta=beta).losses)


@given(st.integers(0, 10**6), st.floats(0.01, 1), st.floats(0, 0.5))
def test_rpo_is_the_loss_of_the_authors_trainer(seed: int, beta: float, eta: float):
    pairs = random_pairs(seed)
    policy, reference = (
        [[float(x) for x in getattr(side, model).sum()] for side in (pairs.chosen, pairs.rejected)]
        for model in ("policy", "reference")
    )
    for row, loss in enumerate(rpo(pairs, beta=beta, eta=eta).losses.tolist()):
        logits = (policy[0][row] - policy[1][row]) - (reference[0][row] - reference[1][row])
        # Their trainer: losses = -logsigmoid(beta logits), then losses -= chosen beta eta.
        assert loss == pytest.approx(
            -math.log(sigmoid(beta * logits)) - policy[0][row] * beta * eta, rel=1e-6
        )


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


def test_lowering_both_answers_costs_rpo_the_sft_term_alone():
    before = PairwiseScores(answers([[-2.0]], [[-3.0]]), answers([[-4.0]], [[-3.0]]))
    after = PairwiseScores(answers([[-7.0]], [[-3.0]]), answers([[-9.0]], [[-3.0]]))
    loss = rpo(after, beta=0.1, eta=0.3).losses - rpo(before, beta=0.1, eta=0.3).losses
    assert loss.item() == pytest.approx(0.1 * 0.3 * 5)
    assert dpo(after).losses.item() == pytest.approx(dpo(before).losses.item())


def test_rpo_averages_its_sft_term_over_tokens_where_it_is_told_to():
    pairs = PairwiseScores(answers([[-2.0, -4.0]], [[-2.0, -4.0]]), answers([[-1.0]], [[-1.0]]))
    even = math.log(2)
    assert rpo(pairs, beta=0.1, eta=1.0).losses.item() == pytest.approx(even + 0.1 * 6)
    assert rpo(pairs, eta=1.0, sft="mean").losses.item() == pytest.approx(even + 3)


# ln_dpo (S19)


def test_ln_dpo_worked_number():
    chosen = answers([[-1.0] * 5], [[-1.4] * 5])  # h = 2
    rejected = answers([[-1.2] * 10], [[-1.0] * 10])  # h = -2
    loss = ln_dpo(PairwiseScores(chosen, rejected), beta=2.0).losses.item()
    assert loss == pytest.approx(0.263282, abs=1e-6)


@given(st.integers(1, 6), st.integers(0, 10**6), st.floats(0.1, 4))
def test_ln_dpo_of_answers_of_one_length_is_dpo_at_beta_over_that_length(
    length: int, seed: int, beta: float
):
    draws = (-3 * torch.rand(4, 2, length, generator=torch.Generator().manual_seed(seed))).tolist()
    pairs = PairwiseScores(answers(draws[0], draws[1]), answers(draws[2], draws[3]))
    torch.testing.assert_close(
        ln_dpo(pairs, beta=beta).losses, dpo(pairs, beta=beta / length).losses
    )


@given(st.integers(1, 5))
def test_repeating_every_token_leaves_ln_dpo_alone_and_not_dpo(times: int):
    def repeated(k: int) -> PairwiseScores:
        return PairwiseScores(
            answers([[-1.0, -2.0] * k], [[-1.5, -2.0] * k]), answers([[-3.0] * k], [[-1.0] * k])
        )

    assert ln_dpo(repeated(times)).losses.item() == pytest.approx(ln_dpo(repeated(1)).losses.item())
    assert (dpo(repeated(times)).losses < dpo(repeated(1)).losses).item() is (times > 1)


@given(st.integers(0, 10**6), st.floats(0.1, 4), st.floats(-5, -0.1))
def test_ln_dpo_with_a_uniform_reference_is_simpo_without_margin(
    seed: int, beta: float, token: float
):
    pairs = random_pairs(seed)

    def uniform(sequences: Sequences) -> Sequences:
        assert sequences.reference is not None
        logps = torch.full_like(sequences.policy.logps, token)
        return Sequences(sequences.policy, replace(sequences.reference, logps=logps))

    even = PairwiseScores(uniform(pairs.chosen), uniform(pairs.rejected))
    torch.testing.assert_close(
        ln_dpo(even, beta=beta).losses, simpo(pairs, beta=beta, gamma=0.0).losses
    )


# robust_dpo and exo


@given(st.floats(-20, 20), st.floats(0, 0.45))
def test_robust_dpo_is_dpo_on_average_over_flipped_labels(margin: float, share: float):
    right, flipped = robust_dpo(
        pairs_with_margins([margin, -margin]), beta=0.2, label_smoothing=share
    ).losses.tolist()
    clean = dpo(pairs_with_margins([margin]), beta=0.2).losses.item()
    assert (1 - share) * right + share * flipped == pytest.approx(clean, rel=1e-6, abs=1e-9)


@given(st.floats(-20, 20), st.floats(0.001, 0.49))
def test_exo_is_the_kl_from_the_policys_preference_to_the_labels(margin: float, share: float):
    q = sigmoid(0.3 * margin)
    slow = q * math.log(q / (1 - share)) + (1 - q) * math.log((1 - q) / share)
    loss = exo(pairs_with_margins([margin]), beta=0.3, label_smoothing=share).losses.item()
    assert loss == pytest.approx(slow, abs=1e-9)
    best = math.log((1 - share) / share) / 0.3
    least = exo(pairs_with_margins([best]), beta=0.3, label_smoothing=share).losses.item()
    assert least == pytest.approx(0, abs=1e-9)


# dove (S43)


@given(st.integers(0, 10**6), st.floats(0.01, 2))
def test_dove_after_one_prompt_is_dpo_whether_the_prompt_is_scored_or_not(seed: int, beta: float):
    pairs = random_pairs(seed, count=2)
    prompt = answers([[-0.5, -2.0], [-1.0, -0.1]], [[-0.7, -1.0], [-1.5, -0.3]])
    joint = PairwiseScores(joined(prompt, pairs.chosen), joined(prompt, pairs.rejected))
    plain = dpo(pairs, beta=beta).losses
    torch.testing.assert_close(dove(pairs, beta=beta).losses, plain)
    torch.testing.assert_close(dove_joint(joint, beta=beta).losses, plain)


def test_dove_worked_number():
    assert dove(of_log_ratios([4.0], [-2.0])).losses.item() == pytest.approx(0.437488, abs=1e-6)


def test_dove_joint_adds_what_the_policy_thinks_of_the_prompts():
    chosen, rejected = answers([[-1.0]], [[-1.0]]), answers([[-1.0]], [[-1.0]])
    likelier, other = answers([[-2.0]], [[-5.0]]), answers([[-4.0]], [[-4.0]])
    pairs = PairwiseScores(joined(likelier, chosen), joined(other, rejected))
    loss = dove_joint(pairs, beta=0.1).losses.item()
    assert loss == pytest.approx(-math.log(sigmoid(0.1 * 3)))


@given(st.integers(0, 10**6))
def test_exchanging_the_sides_of_a_joint_pair_turns_its_margin(seed: int):
    pairs = random_pairs(seed)
    there = dove(pairs).losses
    back = dove(PairwiseScores(pairs.rejected, pairs.chosen)).losses
    margins = 0.1 * (pairs.chosen.log_ratio() - pairs.rejected.log_ratio())
    torch.testing.assert_close(back - there, margins)


# tdpo


@given(st.integers(0, 10**6), st.floats(0.01, 2), st.floats(0, 1))
def test_tdpo_is_its_formula_written_out(seed: int, beta: float, alpha: float):
    pairs = random_pairs(seed)
    losses = tdpo(pairs, beta=beta, alpha=alpha).losses
    for i in range(6):
        sums = []
        for side in (pairs.chosen, pairs.rejected):
            mine = side.policy.owner == i
            ratios = (side.policy.logps[mine] - side.reference.logps[mine]).tolist()
            sums.append((sum(ratios), sum(math.exp(x) - 1 - x for x in ratios)))
        (chosen, held), (rejected, moving) = sums
        slow = -math.log(sigmoid(beta * (chosen - rejected - alpha * (moving - held))))
        assert losses[i].item() == pytest.approx(slow, rel=1e-6)


def test_tdpo_without_divergences_is_dpo():
    pairs = random_pairs(0)
    torch.testing.assert_close(tdpo(pairs, alpha=0.0).losses, dpo(pairs).losses)


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
