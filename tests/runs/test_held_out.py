from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from accordant.objectives.held_out import HeldOutLogps, logp_change
from accordant.objectives.kinds.binary import measure_thumbs
from accordant.objectives.kinds.comparison import measure_comparisons
from accordant.objectives.kinds.demonstration import measure_demonstrations
from accordant.objectives.kinds.ranking import measure_rankings
from accordant.statistics.estimates import proportion

# Quarters are exact in binary, so that ties stay ties.
quarters = st.integers(-40, 0).map(lambda x: x / 4)
quadruples = st.lists(st.tuples(quarters, quarters, quarters, quarters), min_size=1, max_size=20)


def logps(policy, start=None):
    policy = np.asarray(policy, float)
    start = np.zeros(len(policy)) if start is None else start
    return HeldOutLogps(policy, start, np.ones(len(policy)))


def pairs(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=1.0):
    """Results on comparisons whose start is their reference."""
    chosen, rejected = logps(policy_chosen, ref_chosen), logps(policy_rejected, ref_rejected)
    return measure_comparisons(chosen, rejected, beta)


@given(quadruples)
@settings(max_examples=40)
def test_reward_accuracy_counts_pairs_and_halves_ties(rows):
    expected = 0.0
    for policy_chosen, policy_rejected, ref_chosen, ref_rejected in rows:
        margin = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)
        expected += 1.0 if margin > 0 else 0.5 if margin == 0 else 0.0
    columns = np.array(rows).T
    assert pairs(*columns).number("accuracy").estimate == pytest.approx(expected / len(rows))
    swapped = pairs(columns[1], columns[0], columns[3], columns[2]).number("accuracy")
    assert swapped.estimate == pytest.approx(1 - expected / len(rows))


@given(quadruples, st.integers(-8, 8))
@settings(max_examples=40)
def test_margins_do_not_depend_on_what_the_prompt_adds_to_both(rows, shift):
    policy_chosen, policy_rejected, ref_chosen, ref_rejected = np.array(rows).T
    plain, moved = (
        pairs(policy_chosen + added, policy_rejected + added, ref_chosen, ref_rejected, beta=0.5)
        for added in (0, shift)
    )
    plain, moved = (
        next(measure for measure in results.measures if measure.name == "reward_margins")
        for results in (plain, moved)
    )
    assert moved.values == plain.values
    assert plain.number.estimate == pytest.approx(np.mean(plain.values))


def test_a_fall_of_the_chosen_log_probability_is_seen_although_accuracy_is_perfect():
    start = np.linspace(-80, -20, 30)
    spread = np.tile([-0.5, 0.5], 15)
    chosen, rejected = logps(start - 3 + spread, start), logps(start - 20 + spread, start)
    results = measure_comparisons(chosen, rejected, beta=0.1)
    assert results.number("accuracy").estimate == 1.0
    assert results.change("chosen").change.estimate == pytest.approx(-3.0)
    assert results.change("chosen").change.high < 0
    assert results.change("chosen").fell.estimate == 1.0
    assert results.number("reward_margins").estimate == pytest.approx(1.7)


def test_per_token_changes_divide_by_each_length():
    change = logp_change("chosen", [-10.0, -10.0], [-14.0, -12.0], [4, 1])
    assert change.change.estimate == -3.0
    assert change.change_per_token.estimate == pytest.approx((-1.0 - 2.0) / 2)


def test_an_untrained_policy_is_at_chance_and_has_not_moved():
    start = np.array([-5.0, -7.0, -9.0])
    results = measure_comparisons(logps(start, start), logps(start - 1, start - 1))
    assert results.number("accuracy").estimate == 0.5
    assert not results.number("accuracy").excludes(0.5)
    assert results.change("chosen").change.estimate == 0.0
    assert results.change("chosen").fell.estimate == 0.5
    assert (
        results.number("ranked_before") == results.number("ranked_after") == proportion([1, 1, 1])
    )


def test_rewards_are_against_the_reference_and_movement_is_against_the_start():
    chosen = HeldOutLogps([-3.0, -3.0], [-4.0, -4.0], [1, 1], reference=[-1.0, -1.0])
    rejected = HeldOutLogps([-5.0, -5.0], [-5.0, -5.0], [1, 1], reference=[-5.0, -5.0])
    results = measure_comparisons(chosen, rejected)
    assert results.number("accuracy").estimate == 0.0
    assert results.change("chosen").change.estimate == 1.0


def test_binary_accuracy_follows_the_sign_and_auc_the_order():
    results = measure_thumbs(logps([3.0, 1.0, 2.0, -1.0]), torch.tensor([True, True, False, False]))
    assert results.number("accuracy").estimate == 0.75
    assert results.number("auc").estimate == 0.75
    assert results.change("desirable").change.estimate == 2.0


def test_binary_results_with_one_kind_of_label_claim_no_auc():
    results = measure_thumbs(logps([3.0, 1.0]), [1, 1])
    assert math.isnan(results.number("auc").estimate)
    assert results.to_json()["undesirable"] is None
    assert [change.name for change in results.changes] == ["desirable"]


@given(quadruples)
@settings(max_examples=30)
def test_rankings_of_two_are_comparisons(rows):
    policy_chosen, policy_rejected, ref_chosen, ref_rejected = np.array(rows).T
    flat = HeldOutLogps(
        np.stack([policy_chosen, policy_rejected], 1).ravel(),
        np.stack([ref_chosen, ref_rejected], 1).ravel(),
        np.ones(2 * len(rows)),
    )
    ranked = measure_rankings(flat, np.arange(2 * len(rows)) // 2, np.tile([0, -1], len(rows)))
    compared = pairs(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    accuracy = compared.number("accuracy")
    assert ranked.number("pair_accuracy").estimate == pytest.approx(accuracy.estimate)
    assert ranked.number("top_accuracy").estimate == pytest.approx(accuracy.estimate)
    assert ranked.number("kendall_tau").estimate == pytest.approx(2 * accuracy.estimate - 1)
    assert ranked.count == ranked.facts["pairs"] == len(rows)


@given(st.lists(st.tuples(quarters, st.integers(0, 3)), min_size=2, max_size=9))
def test_kendall_tau_is_the_tau_b_of_scipy(answers):
    rewards, labels = np.array(answers, float).T
    result = measure_rankings(logps(rewards), np.zeros(len(rewards)), labels)
    expected = kendalltau(rewards, labels).statistic
    if len(set(labels)) == 1:
        assert result.facts["pairs"] == 0
        assert math.isnan(result.number("kendall_tau").estimate)
    else:
        # A constant reward orders nothing: undefined there, no correlation here.
        wanted = 0.0 if math.isnan(expected) else expected
        assert result.number("kendall_tau").estimate == pytest.approx(wanted, abs=1e-12)


def test_a_ranking_of_one_is_refused():
    with pytest.raises(ValueError, match="two completions"):
        measure_rankings(logps([1.0, 2.0, 3.0]), [0, 0, 1], [1, 0, 1])


def test_the_perplexity_of_a_uniform_model_is_its_vocabulary():
    lengths = np.array([3, 10, 7])
    results = measure_demonstrations(
        HeldOutLogps(-lengths * math.log(50), -lengths * math.log(200), lengths)
    )
    assert results.number("perplexity_before").estimate == pytest.approx(200)
    assert results.number("perplexity_after").estimate == pytest.approx(50)
    assert results.number("nll_change").estimate == pytest.approx(-math.log(4))
    assert results.facts["tokens"] == 20


def test_perplexity_weighs_tokens_and_not_answers():
    results = measure_demonstrations(HeldOutLogps([-1.0, -9.0], [-1.0, -9.0], [1, 3]))
    assert results.number("nll_after").estimate == pytest.approx(10 / 4)


def test_columns_that_do_not_match_are_named():
    with pytest.raises(ValueError, match="chosen 2, rejected 3"):
        measure_comparisons(logps([1, 2]), logps([1, 2, 3]))
