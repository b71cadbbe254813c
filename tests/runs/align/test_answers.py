from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.reports.report import ComparedAnswer
from accordant.rewards.expression import find_reward
from accordant.rewards.registry import FunctionReward
from accordant.runs.align.answers import compare_answers, kl_from_reference
from accordant.statistics.estimates import sign_test

LENGTH = FunctionReward("length", "longer is better", lambda prompt, text, finished: len(text))


def answers(*texts):
    return [ComparedAnswer(text, True) for text in texts]


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), min_size=1, max_size=12))
def test_every_prompt_is_won_tied_or_lost_by_the_judges_scores(pairs):
    before, after = answers(*(a for a, _ in pairs)), answers(*(b for _, b in pairs))
    rate = compare_answers(["?"] * len(pairs), before, after, LENGTH)
    wins = sum(len(b) > len(a) for a, b in pairs)
    losses = sum(len(b) < len(a) for a, b in pairs)
    assert (rate.wins, rate.losses) == (wins, losses)
    assert rate.wins + rate.ties + rate.losses == len(rate.rows) == rate.rate.count
    assert rate.rate.estimate == pytest.approx((wins + rate.ties / 2) / len(pairs))
    assert rate.p_value == sign_test(wins, losses)
    assert [row.changed for row in rate.rows] == [a != b for a, b in pairs]


def test_a_tie_can_have_changed_and_rows_keep_their_order():
    rate = compare_answers(["p", "q"], answers("ab", "x"), answers("cd", "xy"), LENGTH)
    assert [row.prompt for row in rate.rows] == ["p", "q"]
    assert [row.outcome for row in rate.rows] == ["tie", "win"]
    assert rate.rows[0].changed


def test_an_empty_answer_loses_without_spoiling_the_mean_score():
    rate = compare_answers(
        ["p", "q"], answers("two words", "two words"), answers("", "one"), find_reward("shorter")
    )
    assert (rate.wins, rate.losses) == (1, 1)
    assert rate.score_after.estimate == -1.0


def test_no_prompts_is_the_users_mistake():
    with pytest.raises(UserError, match="no prompts"):
        compare_answers([], [], [], LENGTH)


def test_answers_must_match_prompts():
    with pytest.raises(ValueError, match="1 prompts, 2 before"):
        compare_answers(["p"], answers("a", "b"), answers("a"), LENGTH)


def test_both_estimators_are_the_divergence_when_samples_fall_as_they_should():
    policy, reference = np.log([0.5, 0.25, 0.25]), np.log([0.2, 0.5, 0.3])
    drawn = np.array([0, 0, 1, 2])  # in exactly the policy's proportions
    exact = float(np.exp(policy) @ (policy - reference))
    kl = kl_from_reference(policy[drawn], reference[drawn], np.ones(4))
    assert kl.per_sequence.estimate == pytest.approx(exact)
    assert kl.k3_per_sequence.estimate == pytest.approx(exact)
    assert kl.per_token.estimate == pytest.approx(exact)


def test_both_estimators_approach_the_divergence_of_a_markov_chain():
    random, length = np.random.default_rng(0), 6
    policy, reference = (random.dirichlet(np.ones(4) * 3, 4) for _ in range(2))
    # Exact: the chain rule sums the divergence of each step over the states it starts from.
    exact, state = 0.0, np.array([1.0, 0, 0, 0])
    for _ in range(length):
        exact += state @ (policy * np.log(policy / reference)).sum(1)
        state = state @ policy
    count = 6_000
    drawn = np.zeros((count, length + 1), int)
    for step in range(length):
        chances = policy[drawn[:, step]].cumsum(1)
        drawn[:, step + 1] = (random.random((count, 1)) > chances[:, :-1]).sum(1)
    old, new = drawn[:, :-1].ravel(), drawn[:, 1:].ravel()
    kl = kl_from_reference(
        np.log(policy[old, new]), np.log(reference[old, new]), np.full(count, length)
    )
    for estimate in (kl.per_sequence, kl.k3_per_sequence):
        assert abs(estimate.estimate - exact) < estimate.high - estimate.low
        assert (estimate.high - estimate.low) / exact < 0.1
    assert kl.per_token.estimate == pytest.approx(kl.per_sequence.estimate / length)


@given(st.lists(st.lists(st.tuples(st.floats(-9, 0), st.floats(-9, 0)), min_size=1), min_size=1))
def test_sums_stay_within_their_sequence_and_k3_is_never_negative(sequences):
    flat = [pair for sequence in sequences for pair in sequence]
    policy, reference = zip(*flat, strict=True)
    kl = kl_from_reference(policy, reference, [len(sequence) for sequence in sequences])
    expected = [sum(p - r for p, r in sequence) for sequence in sequences]
    assert kl.log_ratios.values == pytest.approx(expected)
    assert kl.k3_per_sequence.estimate >= -1e-12
    assert kl.tokens == len(flat)


def test_the_same_model_has_no_divergence():
    kl = kl_from_reference([-1.0, -2.0], [-1.0, -2.0], [1, 1])
    assert kl.per_sequence.estimate == kl.k3_per_sequence.high == 0.0


@pytest.mark.parametrize("lengths", [[1], [3], [2, 0]])
def test_lengths_must_cover_the_tokens(lengths):
    with pytest.raises(ValueError, match="do not fit lengths"):
        kl_from_reference([-1.0, -2.0], [-1.0, -2.0], lengths)


def test_no_samples_claim_nothing():
    kl = kl_from_reference([], [], [])
    assert kl.sequences == 0
    assert math.isnan(kl.per_sequence.estimate)
