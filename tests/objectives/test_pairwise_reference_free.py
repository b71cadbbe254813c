"""Losses without a reference: formulas written out, worked numbers, what they become at 0."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.losses.pairwise import dpo
from accordant.objectives.losses.pairwise_reference_free import bose, cpo, mapo, orpo, simpo, slic
from tests.objectives.pairs import answers, gradients, random_pairs, without_reference

answer = st.lists(st.floats(-6, -0.01), min_size=1, max_size=4)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def log_odds(p: float) -> float:
    return math.log(math.exp(p) / (1 - math.exp(p)))


def mean(tokens: list[float]) -> float:
    return sum(tokens) / len(tokens)


@given(answer, answer)
def test_each_is_its_formula(w: list[float], low: list[float]):
    pairs = without_reference([w], [low])
    odds = log_odds(mean(w)) - log_odds(mean(low))
    logits = 0.2 * (sum(w) - sum(low))
    smoothed = -0.9 * math.log(sigmoid(logits)) - 0.1 * math.log(sigmoid(-logits))
    bosons = slow_bose(-mean(w)) - slow_bose(-mean(low))
    for output, slow in (
        (simpo(pairs, beta=2.5, gamma=0.7), -math.log(sigmoid(2.5 * (mean(w) - mean(low)) - 0.7))),
        (orpo(pairs, beta=0.3), -mean(w) - 0.3 * math.log(sigmoid(odds))),
        (
            cpo(pairs, beta=0.2, sft_weight=0.5, label_smoothing=0.1),
            smoothed - 0.5 * mean(w),
        ),
        (slic(pairs, delta=2.0, sft_weight=0.3), max(0, 2 - sum(w) + sum(low)) - 0.3 * sum(w)),
        (mapo(pairs, beta=0.3, scale=5.0), -mean(w) - 0.3 * math.log(sigmoid(5 * bosons))),
    ):
        assert output.losses.item() == pytest.approx(slow, rel=1e-6, abs=1e-9)


def slow_bose(u: float) -> float:
    return u / (math.exp(u) - 1)


def test_the_numbers_of_the_logic_paper():
    pairs = without_reference([[math.log(0.4)]], [[math.log(0.2)]])
    contrast = cpo(pairs, beta=1.0, sft_weight=0.0).losses.item()
    assert contrast == pytest.approx(0.405465, abs=1e-6)
    odds = orpo(pairs, beta=1.0).losses.item() - orpo(pairs, beta=0.0).losses.item()
    assert odds == pytest.approx(0.318454, abs=1e-6)


@given(st.integers(0, 10**6), st.floats(0.02, 2))
def test_cpo_without_fine_tuning_is_dpo_with_a_uniform_reference(seed: int, beta: float):
    pairs = random_pairs(seed)
    flat = [[0.0] * n for n in pairs.chosen.policy.lengths.tolist()]
    other = [[0.0] * n for n in pairs.rejected.policy.lengths.tolist()]
    uniform = type(pairs)(
        type(pairs.chosen)(pairs.chosen.policy, answers(flat).policy),
        type(pairs.chosen)(pairs.rejected.policy, answers(other).policy),
    )
    torch.testing.assert_close(
        cpo(pairs, beta=beta, sft_weight=0.0).losses, dpo(uniform, beta=beta).losses
    )


def test_slic_leaves_a_pair_to_fine_tuning_once_it_leads_far_enough():
    chosen, rejected = gradients(
        slic, without_reference([[-1.0], [-2.0]], [[-3.0], [-2.5]]), sft_weight=0.1
    )
    assert chosen.tolist() == pytest.approx([-0.1, -1.1])
    assert rejected.tolist() == [0.0, 1.0]


def test_orpo_stays_finite_where_the_policy_is_certain():
    pairs = without_reference([[-0.0], [-1e-9]], [[-1e4], [-0.0]])
    chosen, rejected = gradients(orpo, pairs)
    for numbers in (orpo(pairs).losses, chosen, rejected):
        assert numbers.isfinite().all()


# mapo (S31)


def test_mapo_worked_number():
    assert bose(torch.tensor([0.1, 0.2])).tolist() == pytest.approx([0.950833, 0.903331], abs=1e-6)
    pairs = without_reference([[-0.1]], [[-0.2]])
    loss = mapo(pairs, beta=1.0, scale=10.0).losses.item()
    assert loss - 0.1 == pytest.approx(0.483581, abs=1e-6)


@given(answer, answer)
def test_the_margin_of_mapo_raises_the_chosen_and_lowers_the_rejected_answer(w, low):
    pairs = without_reference([w], [low])
    whole, without = gradients(mapo, pairs, beta=0.5), gradients(mapo, pairs, beta=0.0)
    assert (whole[0] < without[0]).all()
    assert (whole[1] > 0).all()


def test_mapo_without_margin_is_fine_tuning_on_the_chosen_answers():
    pairs = random_pairs(1)
    torch.testing.assert_close(mapo(pairs, beta=0.0).losses, -pairs.chosen.policy.mean())
    assert (gradients(mapo, pairs, beta=0.0)[1] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bose_is_exact_small_and_large_and_falls_throughout(dtype: torch.dtype):
    u = torch.tensor([0.0, 1e-9, 1e-4, 0.0099, 0.0101, 0.5, 5.0, 80.0, 1e4], dtype=dtype)
    exact = [1.0, *(x / math.expm1(x) if x < 700 else 0.0 for x in u[1:].tolist())]
    tolerance = 3e-7 if dtype == torch.float32 else 1e-14
    assert bose(u).tolist() == pytest.approx(exact, rel=tolerance)
    leaf = u.clone().requires_grad_()
    (slope,) = torch.autograd.grad(bose(leaf).sum(), leaf)
    assert slope.isfinite().all()
    assert slope[0].item() == pytest.approx(-0.5)
    assert (slope <= 0).all()
