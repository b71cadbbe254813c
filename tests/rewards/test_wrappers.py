"""Calibrating, transforming and combining rewards, against numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.feedback.records import Message
from accordant.rewards import transforms
from accordant.rewards.expression import find_reward
from accordant.rewards.registry import FunctionReward
from accordant.rewards.reward import Answer, score_answers, score_single
from accordant.rewards.transforms import CALIBRATIONS, TRANSFORMS
from accordant.rewards.wrappers import (
    Calibrated,
    combine_rewards,
    compares,
    transform_reward,
    with_reference_answers,
)

# Eighths, so that adding a number to all of them rounds nothing.
NUMBERS = st.lists(st.integers(-400, 400).map(lambda n: n / 8), min_size=2, max_size=12)
LENGTH = FunctionReward("length", "longer is better", lambda prompt, text, done: len(text))
FIRST_AND_LAST = FunctionReward(
    "ends",
    "two letters",
    lambda answers: [[ord(a.text[0]), ord(a.text[-1])] for a in answers],
    ("first", "last"),
)
# Two values with mean 0 and sample deviation 1.
STANDARD = np.array([-(0.5**0.5), 0.5**0.5])


def test_the_centred_log_sigmoid_is_what_was_worked_by_hand() -> None:
    rewards = np.array([-2.0, 0, 2, 4])
    expected = [-3.083323, -1.340026, -0.323191, -0.050346]
    assert transforms.lsc(rewards, STANDARD) == pytest.approx(expected, abs=1e-6)


def test_a_sum_of_log_sigmoids_prefers_good_in_both_where_raw_sums_tie() -> None:
    uneven, even = (transforms.lsc(np.array(r), STANDARD).sum() for r in ([0.0, 4.0], [2.0, 2.0]))
    assert uneven == pytest.approx(-1.390372, abs=1e-6)
    assert even == pytest.approx(-0.646383, abs=1e-6)


def test_the_log_sigmoid_is_a_line_far_below_and_flat_far_above() -> None:
    below = transforms.lsc(np.array([-1000.0, -999.0, -np.inf]), np.array([0.0]))
    assert below.tolist() == [-1000.0, -999.0, -np.inf]
    assert transforms.lsc(np.array([1000.0]), np.array([0.0])).tolist() == [0.0]


@given(NUMBERS, NUMBERS, st.sampled_from(sorted(CALIBRATIONS)))
def test_every_calibration_keeps_order_and_forgets_shifts(rewards, reference, name) -> None:
    values = np.sort(np.array(rewards, np.float64))
    calibrated = CALIBRATIONS[name](values, np.array(reference))
    assert (np.diff(calibrated) >= 0).all()
    shifted = CALIBRATIONS[name](values + 8, np.array(reference) + 8)
    assert shifted == pytest.approx(calibrated, abs=1e-6)


@given(NUMBERS, st.sampled_from(sorted(TRANSFORMS)))
def test_every_transform_keeps_order(rewards, name) -> None:
    assert (np.diff(TRANSFORMS[name](np.sort(np.array(rewards, np.float64)))) >= 0).all()


def test_the_distribution_of_a_reward_under_its_reference_is_uniform() -> None:
    reference = np.random.default_rng(0).normal(size=99)
    ranks = transforms.cdf(reference, reference)
    assert np.sort(ranks) == pytest.approx((np.arange(99) + 0.5) / 99)
    assert np.array_equal(ranks, transforms.cdf(reference**3, reference**3))
    tied = transforms.cdf(np.array([1.0, 2.0]), np.array([1.0, 1.0, 2.0, 3.0]))
    assert tied.tolist() == [0.25, 0.625]


def test_a_quantile_may_be_of_the_values_themselves() -> None:
    reference = np.arange(101.0)
    assert transforms.centre(np.array([0.0]), reference, q=0.85, fit="empirical") == -85
    assert transforms.centre(np.array([0.0]), reference) == -50


def test_a_reward_is_calibrated_prompt_by_prompt() -> None:
    talk = (Message("user", "Why?"), Message("assistant", "So."), Message("user", "No!"))
    reference = [Answer("p", "a" * n) for n in (1, 3)] + [Answer(talk, "a" * n) for n in (10, 30)]
    reward = with_reference_answers(Calibrated(LENGTH, "centre"), reference)
    assert score_single(reward, [Answer("p", "aa"), Answer(talk, "aa")]).tolist() == [0.0, -18.0]
    assert "2 answers" in reward.description
    assert "noisy" in reward.description
    with pytest.raises(UserError, match=r"no answer of the reference.*two answers a prompt"):
        score_answers(reward, [Answer("another", "aa")])
    over_all = with_reference_answers(Calibrated(LENGTH, "centre", over="all"), reference)
    assert score_single(over_all, [Answer("another", "a" * 11)]).tolist() == [0.0]


def test_one_answer_is_too_few_to_compare_with_and_infinite_ones_do_not_count() -> None:
    shorter = find_reward("lsc(shorter)")
    for texts in (["one"], ["one", ""]):
        reward = with_reference_answers(shorter, [Answer("p", text) for text in texts])
        with pytest.raises(UserError, match="too few"):
            score_answers(reward, [Answer("p", "a")])
    ranked = with_reference_answers(
        find_reward("cdf(shorter)"), [Answer("p", "one"), Answer("p", "")]
    )
    assert score_single(ranked, [Answer("p", "a"), Answer("p", "a b")]).tolist() == [0.75, 0.5]


def test_a_number_or_an_answer_may_stand_for_the_reference() -> None:
    at, text = find_reward("centre(shorter, at=-3)"), find_reward("centre(shorter, text='a b')")
    assert not compares(at)
    assert score_single(at, [Answer("p", "a")]).tolist() == [2.0]
    assert score_single(text, [Answer("p", "a"), Answer("q", "a b c")]).tolist() == [1.0, -1.0]


def test_attributes_are_mapped_one_by_one_and_combined_all_together() -> None:
    answers = [Answer("p", "ab"), Answer("p", "cb")]
    assert transform_reward(FIRST_AND_LAST, "identity").attributes == ("first", "last")
    rows = {"sum": [195, 197], "min": [97, 98], "max": [98, 99], "mean": [97.5, 98.5]}
    for how, expected in rows.items():
        assert score_single(combine_rewards((FIRST_AND_LAST,), how), answers).tolist() == expected


def test_the_sum_of_two_is_that_of_their_scores_by_hand() -> None:
    texts = ("a", "a b", "c d e f")
    reference = [Answer("p", text, done) for text in texts for done in (True, False)]
    answers = [*reference, Answer("p", "x y z")]
    reward = with_reference_answers(
        find_reward("lsc(shorter) + 0.5*lsc(finished, q=0.5)"), reference
    )

    def scored(name: str, q: float) -> np.ndarray:
        raw = find_reward(name)
        return transforms.lsc(score_single(raw, answers), score_single(raw, reference), q=q)

    expected = scored("shorter", 0.85) + 0.5 * scored("finished", 0.5)
    assert score_single(reward, answers) == pytest.approx(expected)
    assert compares(reward)


def test_what_has_no_number_is_refused_where_it_is_made() -> None:
    opposed = combine_rewards((find_reward("shorter"), find_reward("shorter")), "sum", (1.0, -1.0))
    with pytest.raises(UserError, match="nan, not a number"):
        score_answers(opposed, [Answer("what?", "")])
    assert math.isinf(score_single(find_reward("shorter"), [Answer("what?", "")])[0])
