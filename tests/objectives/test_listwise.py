"""Plackett-Luce against enumeration of orders, worked numbers and DPO."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.objectives.inputs import ListwiseScores, PairwiseScores, Sequences
from accordant.objectives.listwise import plackett_luce, to_grid
from accordant.objectives.pairwise import dpo
from accordant.scoring.scores import from_lists

scores_of_one = st.lists(st.floats(-8, 8), min_size=1, max_size=5)


def rankings(scores: list[list[float]], rewards: list[list[float]] | None = None) -> ListwiseScores:
    """Rankings whose log-ratios are given; without rewards, best first."""
    flat = [s for row in scores for s in row]
    if rewards is None:
        rewards = [[-float(i) for i in range(len(row))] for row in scores]
    reference = from_lists([[-9.0] for _ in flat], dtype=torch.float64)
    return ListwiseScores(
        Sequences(from_lists([[s - 9.0] for s in flat], dtype=torch.float64), reference),
        torch.tensor([i for i, row in enumerate(scores) for _ in row]),
        torch.tensor([r for row in rewards for r in row], dtype=torch.float64),
    )


def slow_negative_log_likelihood(scores: list[float], rewards: list[float]) -> float:
    total = 0.0
    for i, score in enumerate(scores):
        rest = [score] + [s for s, r in zip(scores, rewards, strict=True) if r < rewards[i]]
        total += math.log(sum(math.exp(s) for s in rest)) - score
    return total


@given(st.lists(scores_of_one, min_size=1, max_size=4), st.floats(0.05, 2), st.randoms())
def test_it_is_the_likelihood_of_choosing_place_by_place(scores, beta, random):
    rewards = [[float(random.randint(0, 3)) for _ in row] for row in scores]
    losses = plackett_luce(rankings(scores, rewards), beta=beta).losses.tolist()
    for loss, row, numbers in zip(losses, scores, rewards, strict=True):
        slow = slow_negative_log_likelihood([beta * s for s in row], numbers)
        assert loss == pytest.approx(slow, rel=1e-9, abs=1e-9)


def test_worked_number():
    # Scores 0.3, 0.5, -0.2, ranked in this order.
    loss = plackett_luce(rankings([[0.3, 0.5, -0.2]]), beta=1.0).losses.item()
    assert loss == pytest.approx(1.442732, abs=1e-6)


@given(st.lists(st.floats(-4, 4), min_size=2, max_size=4))
@settings(max_examples=30)
def test_probabilities_of_all_orders_sum_to_one(scores):
    orders = list(itertools.permutations(range(len(scores))))
    rewards = [[float(place) for place in order] for order in orders]
    losses = plackett_luce(rankings([scores] * len(orders), rewards), beta=1.0).losses
    assert torch.exp(-losses).sum().item() == pytest.approx(1.0)


@given(st.lists(st.tuples(st.floats(-8, 8), st.floats(-8, 8)), min_size=1, max_size=5))
def test_a_ranking_of_two_is_dpo(pairs):
    listed = rankings([list(pair) for pair in pairs])
    m = len(pairs)
    both = listed.completions
    paired = PairwiseScores(
        both.select(torch.arange(0, 2 * m, 2)), both.select(torch.arange(1, 2 * m, 2))
    )
    torch.testing.assert_close(plackett_luce(listed, beta=0.3).losses, dpo(paired, beta=0.3).losses)


@given(scores_of_one.filter(lambda s: len(s) > 1), st.floats(-5, 5))
def test_adding_a_constant_to_all_scores_of_a_ranking_changes_nothing(scores, constant):
    shifted = [s + constant for s in scores]
    one, other = (plackett_luce(rankings([s]), beta=1.0).losses for s in (scores, shifted))
    torch.testing.assert_close(one, other)


@given(st.permutations(range(4)))
def test_the_order_in_which_answers_stand_does_not_matter_only_their_rewards(order):
    scores, rewards = [0.4, -0.3, 1.1, 0.2], [2.0, 1.0, 1.0, 0.0]
    straight = plackett_luce(rankings([scores], [rewards]), beta=1.0).losses
    shuffled = plackett_luce(
        rankings([[scores[i] for i in order]], [[rewards[i] for i in order]]), beta=1.0
    ).losses
    torch.testing.assert_close(straight, shuffled)


def test_tied_answers_are_not_compared_with_each_other():
    all_tied = rankings([[0.4, -0.3, 1.1]], [[1.0, 1.0, 1.0]])
    assert plackett_luce(all_tied).losses.item() == 0.0
    listed = rankings([[0.4, -0.3, 1.1]], [[2.0, 2.0, 1.0]])
    listed.completions.policy.logps.requires_grad_()
    gradient = torch.autograd.grad(
        plackett_luce(listed, beta=1.0).losses.sum(), listed.completions.policy.logps
    )[0]
    # Each of the two pulls away from the third as far as in a pair of its own.
    expected = [-1 / (1 + math.exp(s - 1.1)) for s in (0.4, -0.3)]
    assert gradient[:2].tolist() == pytest.approx(expected)


def test_longer_and_shorter_rankings_do_not_touch_each_other():
    alone = [plackett_luce(rankings([row])).losses for row in ([1.0], [0.5, 0.2, 3.0], [2.0, -1.0])]
    together = plackett_luce(rankings([[1.0], [0.5, 0.2, 3.0], [2.0, -1.0]])).losses
    torch.testing.assert_close(together, torch.cat(alone))


def test_to_grid_puts_every_ranking_in_a_row():
    grid, present = to_grid(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0, 1, 1, 2]))
    assert grid.tolist() == [[1.0, 0.0], [2.0, 3.0], [4.0, 0.0]]
    assert present.tolist() == [[True, False], [True, True], [True, False]]
