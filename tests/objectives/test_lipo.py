"""The LiPO family and Plackett-Luce against slow references in float64, worked numbers and DPO."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.lipo import (
    lipo_hinge,
    lipo_lambda,
    lipo_listmle,
    lipo_pairwise,
    lipo_pointwise,
    lipo_softmax,
)
from accordant.objectives.losses.listwise import plackett_luce
from accordant.objectives.losses.pairwise import dpo
from tests.objectives.test_listwise import rankings, scores_of_one

FAMILY = (
    *(lipo_lambda, lipo_pairwise, lipo_hinge, lipo_pointwise, lipo_softmax, lipo_listmle),
    plackett_luce,
)
SCORES, LABELS = [0.3, 0.5, -0.2], [1.0, 0.5, 0.0]
member = pytest.mark.parametrize("loss", FAMILY, ids=[f.__name__ for f in FAMILY])


@pytest.mark.parametrize(
    ("loss", "worked"),
    [
        (lipo_lambda, 0.458962),
        (lipo_pairwise, 1.675402),
        (lipo_softmax, 1.071269),
        (lipo_listmle, 1.442732),
        (plackett_luce, 1.442732),
        (lipo_hinge, 1.2 + 0.5 + 0.3),
        (lipo_pointwise, 0.7**2 + 0.2**2),
    ],
)
def test_worked_numbers(loss, worked):
    value = loss(rankings([SCORES], [LABELS]), beta=1.0).losses.item()
    assert value == pytest.approx(worked, abs=1e-6)


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))


def slow_labels(rewards: list[float]) -> list[float]:
    low, span = min(rewards), max(rewards) - min(rewards)
    return [(r - low) / span if span else 0.0 for r in rewards]


def slow_lambda(scores: list[float], rewards: list[float]) -> float:
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], -rewards[i], i))
    discount = [1 / math.log(2 + order.index(i)) for i in range(len(scores))]
    psi = slow_labels(rewards)
    return sum(
        (2 ** psi[i] - 2 ** psi[j])
        * abs(discount[i] - discount[j])
        * -log_sigmoid(scores[i] - scores[j])
        for i in range(len(scores))
        for j in range(len(scores))
        if rewards[i] > rewards[j]
    )


def slow_pairs(scores: list[float], rewards: list[float], loss) -> float:
    return sum(
        loss(s - t)
        for s, r in zip(scores, rewards, strict=True)
        for t, q in zip(scores, rewards, strict=True)
        if r > q
    )


def slow_softmax(scores: list[float], rewards: list[float]) -> float:
    labels = [math.exp(psi) for psi in slow_labels(rewards)]
    total = math.log(sum(math.exp(s) for s in scores))
    return sum(w / sum(labels) * (total - s) for w, s in zip(labels, scores, strict=True))


SLOW = {
    lipo_lambda: slow_lambda,
    lipo_pairwise: lambda s, r: slow_pairs(s, r, lambda m: -log_sigmoid(m)),
    lipo_hinge: lambda s, r: slow_pairs(s, r, lambda m: max(0.0, 1 - m)),
    lipo_pointwise: lambda s, r: sum(
        (psi - x) ** 2 for psi, x in zip(slow_labels(r), s, strict=True)
    ),
    lipo_softmax: slow_softmax,
}


@pytest.mark.parametrize("loss", SLOW, ids=[f.__name__ for f in SLOW])
@given(rows=st.lists(scores_of_one, min_size=1, max_size=4), random=st.randoms())
def test_each_is_its_formula_written_out_slowly(loss, rows, random):
    rewards = [[float(random.randint(0, 3)) for _ in row] for row in rows]
    losses = loss(rankings(rows, rewards), beta=1.0).losses.tolist()
    for value, row, numbers in zip(losses, rows, rewards, strict=True):
        # The fast one sees scores after they were added to and taken from a reference.
        seen = [(s - 9.0) + 9.0 for s in row]
        assert value == pytest.approx(SLOW[loss](seen, numbers), rel=1e-9, abs=1e-9)


@given(st.lists(st.tuples(st.floats(-8, 8), st.floats(-8, 8)), min_size=1, max_size=5))
def test_with_lists_of_two_the_logistic_ones_are_dpo(pairs):
    listed = rankings([list(pair) for pair in pairs])
    both, m = listed.completions, len(pairs)
    paired = PairwiseScores(
        both.select(torch.arange(0, 2 * m, 2)), both.select(torch.arange(1, 2 * m, 2))
    )
    expected = dpo(paired, beta=0.3).losses
    for loss in (lipo_pairwise, lipo_listmle, plackett_luce):
        torch.testing.assert_close(loss(listed, beta=0.3).losses, expected)
    # The weights of the only pair: its labels are 1 and 0, its places 1 and 2.
    weight = 1 / math.log(2) - 1 / math.log(3)
    torch.testing.assert_close(lipo_lambda(listed, beta=0.3).losses, weight * expected)


@given(rows=st.lists(scores_of_one, min_size=1, max_size=3), random=st.randoms())
def test_list_mle_is_the_plackett_luce_likelihood(rows, random):
    listed = rankings(rows, [[float(random.randint(0, 2)) for _ in row] for row in rows])
    torch.testing.assert_close(
        lipo_listmle(listed, beta=0.3).losses, plackett_luce(listed, beta=0.3).losses
    )


@member
@given(order=st.permutations(range(4)))
def test_the_order_in_which_answers_stand_does_not_matter(loss, order):
    scores, rewards = [0.4, -0.3, 0.4, 0.2], [2.0, 1.0, 1.0, 0.0]
    straight = loss(rankings([scores], [rewards]), beta=1.0).losses
    shuffled = loss(
        rankings([[scores[i] for i in order]], [[rewards[i] for i in order]]), beta=1.0
    ).losses
    torch.testing.assert_close(straight, shuffled)


@pytest.mark.parametrize("loss", [f for f in FAMILY if f is not lipo_pointwise])
@given(scores=scores_of_one.filter(lambda s: len(s) > 1), constant=st.floats(-5, 5))
def test_adding_a_constant_to_all_scores_of_a_ranking_changes_nothing(loss, scores, constant):
    scores = [round(s, 3) for s in scores]  # so that no rounding makes or breaks a tie
    one, other = (loss(rankings([[x + c for x in scores]]), beta=1.0).losses for c in (0, constant))
    torch.testing.assert_close(one, other)


@member
def test_longer_and_shorter_rankings_do_not_touch_each_other(loss):
    rows = ([1.0], [0.5, 0.2, 3.0], [2.0, -1.0])
    alone = [loss(rankings([row])).losses for row in rows]
    torch.testing.assert_close(loss(rankings(list(rows))).losses, torch.cat(alone))


@pytest.mark.parametrize(
    "loss", [lipo_lambda, lipo_pairwise, lipo_hinge, lipo_listmle, plackett_luce]
)
def test_a_ranking_without_any_difference_costs_nothing(loss):
    assert loss(rankings([[0.4, -0.3, 1.1]], [[1.0] * 3])).losses.item() == 0.0


def test_lambda_weighs_what_the_policy_has_near_the_top():
    """Two pairs with labels equally far apart: the one that reaches the first place weighs more."""
    listed = rankings([[3.0, 2.0, -2.0, -3.0]], [[1.0, 0.0, 1.0, 0.0]])
    leaf = listed.completions.policy.logps.requires_grad_()
    gradient = torch.autograd.grad(lipo_lambda(listed, beta=1.0).losses.sum(), leaf)[0]
    only_low = rankings([[-2.0, -3.0]], [[1.0, 0.0]])
    low = only_low.completions.policy.logps.requires_grad_()
    (alone,) = torch.autograd.grad(lipo_lambda(only_low, beta=1.0).losses.sum(), low)
    assert abs(gradient[3]) < abs(alone[1])


def test_lambda_gives_every_pair_weight_where_the_policy_still_equals_the_reference():
    listed = rankings([[0.0, 0.0, 0.0]])
    leaf = listed.completions.policy.logps.requires_grad_()
    (gradient,) = torch.autograd.grad(lipo_lambda(listed, beta=1.0).losses.sum(), leaf)
    assert gradient[0] < 0 < gradient[2]
    assert gradient.sum().item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("loss", [lipo_lambda, lipo_pointwise, lipo_softmax])
def test_labels_that_are_given_are_taken_as_they_are(loss):
    given_labels = rankings([SCORES], [[0.8, 0.5, 0.3]])
    scaled = rankings([SCORES], [[1.0, 0.4, 0.0]])
    as_given = loss(given_labels, beta=1.0, labels="given").losses
    assert not torch.allclose(as_given, loss(given_labels, beta=1.0).losses)
    torch.testing.assert_close(
        loss(given_labels, beta=1.0).losses, loss(scaled, beta=1.0, labels="given").losses
    )


def test_softmax_is_least_where_rewards_differ_as_the_labels_do():
    listed = rankings([[2.0, 1.5, 1.0]], [[1.0, 0.5, 0.0]])
    leaf = listed.completions.policy.logps.requires_grad_()
    (gradient,) = torch.autograd.grad(lipo_softmax(listed, beta=1.0).losses.sum(), leaf)
    assert gradient.abs().max() < 1e-12


def test_pointwise_draws_every_answer_to_its_own_label_from_either_side():
    listed = rankings([[1.4, 0.5, -0.2]], [[1.0, 0.5, 0.0]])
    leaf = listed.completions.policy.logps.requires_grad_()
    (gradient,) = torch.autograd.grad(lipo_pointwise(listed, beta=1.0).losses.sum(), leaf)
    assert gradient.tolist() == pytest.approx([0.8, 0.0, -0.4])
