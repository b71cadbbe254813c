"""Losses without a reference: formulas written out, worked numbers, what they become at 0."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.losses.pairwise_reference_free import bose, cpo, mapo, orpo, slic
from tests.objectives.pairs import gradients, random_pairs, without_reference

answer = st.lists(st.floats(-6, -0.01), min_size=1, max_size=4)


def test_the_numbers_of_the_logic_paper():
    pairs = without_reference([[math.log(0.4)]], [[math.log(0.2)]])
    contrast = cpo(pairs, beta=1.0, sft_weight=0.0).losses.item()
    assert contrast == pytest.approx(0.405465, abs=1e-6)
    odds = orpo(pairs, beta=1.0).losses.item() - orpo(pairs, beta=0.0).losses.item()
    assert odds == pytest.approx(0.318454, abs=1e-6)


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
