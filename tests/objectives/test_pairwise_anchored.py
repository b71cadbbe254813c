"""Losses that judge each answer for itself: formulas, targets and where they push."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.losses.pairwise_anchored import apo_down, apo_zero, nca
from tests.objectives.pairs import gradients, of_log_ratios

ratio = st.floats(-20, 20)


@given(ratio, ratio)
def test_apo_zero_pushes_each_answer_whatever_the_other_does(w: float, low: float):
    chosen, rejected = gradients(apo_zero, of_log_ratios([w, w], [low, low + 3]))
    assert (chosen < 0).all()
    assert (rejected > 0).all()
    torch.testing.assert_close(chosen[0], chosen[1])


def test_apo_down_lowers_both_answers_and_the_rejected_one_further():
    # Where the two have drifted apart: on the reference itself the chosen answer's pushes cancel.
    chosen, rejected = gradients(apo_down, of_log_ratios([0.0], [-8.0]))
    assert 0 < chosen.item() < rejected.item()
    at_start, _ = gradients(apo_down, of_log_ratios([0.0], [0.0]))
    assert at_start.item() == pytest.approx(0.0)


@given(st.floats(0.02, 1))
def test_nca_raises_the_chosen_answer_to_a_reward_of_log_two_and_not_beyond(beta: float):
    best = math.log(2) / beta
    slopes, rejected = gradients(
        nca, of_log_ratios([best - 1, best, best + 1], [0.0] * 3), beta=beta
    )
    assert slopes[0] < 0 < slopes[2]
    assert slopes[1].item() == pytest.approx(0, abs=1e-7)
    assert (rejected > 0).all()
