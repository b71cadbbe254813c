"""Losses that read votes or scores of a pair."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.assembly import assemble
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.pairwise import dpo
from accordant.objectives.losses.pairwise_graded import irepo, mm_dpo
from accordant.objectives.registry import get_objective
from accordant.scoring.scores import from_lists
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from tests.objectives.pairs import gradients, of_log_ratios

count = st.integers(0, 12)


def voted(margin: float, votes: tuple[int, int], beta: float = 1.0) -> PairwiseScores:
    return of_log_ratios([margin / beta], [0.0], votes=torch.tensor([votes]))


# irepo (S04)


def test_irepo_worked_number():
    # (6 + 1) / (8 + 2) = 0.7
    loss = irepo(voted(0.5, (6, 2), beta=0.1), beta=0.1).losses.item()
    assert loss == pytest.approx(0.120616, abs=1e-6)


@given(count, count, st.floats(0.02, 2), st.floats(0.1, 3))
def test_irepo_is_zero_where_the_margin_is_the_votes_log_odds(w, low, beta, smoothing):
    p = (w + smoothing) / (w + low + 2 * smoothing)
    pairs = voted(math.log(p / (1 - p)), (w, low), beta)
    assert irepo(pairs, beta=beta, smoothing=smoothing).losses.item() == pytest.approx(0, abs=1e-9)


@given(count, st.floats(-5, 5))
def test_an_even_vote_asks_for_no_margin(votes: int, margin: float):
    loss = irepo(voted(margin, (votes, votes)), beta=1.0).losses.item()
    assert loss == pytest.approx(margin**2)


@given(count, count, st.floats(-5, 5), st.floats(-5, 5))
def test_exchanging_answers_and_votes_changes_nothing(w: int, low: int, h: float, k: float):
    one = of_log_ratios([h], [k], votes=torch.tensor([[w, low]]))
    other = of_log_ratios([k], [h], votes=torch.tensor([[low, w]]))
    assert irepo(one).losses.item() == pytest.approx(irepo(other).losses.item())


def test_a_pair_without_votes_counts_as_one_vote():
    silent = of_log_ratios([1.0, -2.0], [0.5, 1.0])
    one = of_log_ratios([1.0, -2.0], [0.5, 1.0], votes=torch.tensor([[1, 0], [1, 0]]))
    torch.testing.assert_close(irepo(silent).losses, irepo(one).losses)
    assert irepo(silent, smoothing=0.5).metrics["target"].tolist() == pytest.approx(
        [math.log(3)] * 2
    )


def test_more_voices_for_the_same_share_ask_for_a_larger_margin():
    votes = torch.tensor([[1, 0], [3, 0], [10, 0]])
    pairs = of_log_ratios([0.0] * 3, [0.0] * 3, votes=votes)
    assert irepo(pairs).metrics["target"].tolist() == pytest.approx(
        [math.log(2), math.log(4), math.log(11)]
    )


# mm_dpo (S67)


def rated(margins: list[float], gaps: list[float]) -> PairwiseScores:
    return of_log_ratios(
        margins, [0.0] * len(margins), reward_gap=torch.tensor(gaps).double()[:, None]
    )


@given(st.floats(-20, 20), st.floats(0, 6), st.floats(0, 2), st.floats(0.05, 2))
def test_mm_dpo_is_dpo_at_the_beta_its_gap_earns(margin, gap, weight, rate):
    scaled = 0.1 * (1 + weight * (1 - math.exp(-rate * gap)))
    output = mm_dpo(rated([margin], [gap]), beta=0.1, weight=weight, rate=rate)
    expected = dpo(of_log_ratios([margin], [0.0]), beta=scaled)
    torch.testing.assert_close(output.losses, expected.losses)
    torch.testing.assert_close(output.rewards, expected.rewards)
    assert output.metrics["beta"].item() == pytest.approx(scaled)


@given(st.floats(-20, 20), st.floats(-6, 6))
def test_mm_dpo_without_weight_is_dpo(margin: float, gap: float):
    plain = dpo(of_log_ratios([margin], [0.0]))
    torch.testing.assert_close(mm_dpo(rated([margin], [gap]), weight=0.0).losses, plain.losses)


def test_the_scale_grows_with_the_gap_to_its_bound_and_never_shrinks_below_beta():
    output = mm_dpo(rated([0.0] * 5, [-3.0, 0.0, 1.0, 2.0, 1e3]), beta=0.2, weight=0.5, rate=0.5)
    scaled = output.metrics["beta"].tolist()
    assert scaled[:2] == [0.2, 0.2]
    assert scaled[1] < scaled[2] < scaled[3] < scaled[4]
    assert scaled[4] == pytest.approx(0.3)


def test_clear_pairs_get_more_of_the_first_gradient():
    slopes, _ = gradients(mm_dpo, rated([0.0, 0.0, 0.0], [0.0, 1.0, 5.0]))
    assert slopes[0] > slopes[1] > slopes[2]


# From examples to scores


def example(**numbers) -> Example:
    return Example("comparison", (TokenTree((1,), ((2,), (3,))),), 0, numbers=numbers)


def test_votes_and_gaps_reach_the_scores_in_order():
    scores = from_lists([[-1.0]] * 4)
    mixed = [example(votes=(5, 2)), example()]
    inputs = assemble(get_objective("irepo"), scores, scores, mixed)
    assert inputs.attached.row("votes").tolist() == [[5.0, 2.0], [1.0, 0.0]]
    assert set(inputs.attached.numbers) == {"votes"}
    gaps = [example(reward_gap=(0.5,)), example(reward_gap=(-1.0,))]
    inputs = assemble(get_objective("mm_dpo"), scores, scores, gaps)
    assert inputs.attached.number("reward_gap").tolist() == [0.5, -1.0]
    assert set(inputs.attached.numbers) == {"reward_gap"}
