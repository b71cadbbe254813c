"""Rankings: Plackett-Luce, PRO and AFT against slow references, worked numbers and each other."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.objectives.inputs import Sequences
from accordant.objectives.kinds.ranking import ListwiseScores
from accordant.objectives.losses.listwise import aft, plackett_luce, pro
from accordant.objectives.numerics import to_grid
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


@given(st.lists(st.floats(-4, 4), min_size=2, max_size=4))
@settings(max_examples=30)
def test_probabilities_of_all_orders_sum_to_one(scores):
    orders = list(itertools.permutations(range(len(scores))))
    rewards = [[float(place) for place in order] for order in orders]
    losses = plackett_luce(rankings([scores] * len(orders), rewards), beta=1.0).losses
    assert torch.exp(-losses).sum().item() == pytest.approx(1.0)


def test_tied_answers_are_not_compared_with_each_other():
    listed = rankings([[0.4, -0.3, 1.1]], [[2.0, 2.0, 1.0]])
    listed.completions.policy.logps.requires_grad_()
    gradient = torch.autograd.grad(
        plackett_luce(listed, beta=1.0).losses.sum(), listed.completions.policy.logps
    )[0]
    # Each of the two pulls away from the third as far as in a pair of its own.
    expected = [-1 / (1 + math.exp(s - 1.1)) for s in (0.4, -0.3)]
    assert gradient[:2].tolist() == pytest.approx(expected)


def test_to_grid_puts_every_ranking_in_a_row():
    grid, present = to_grid(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0, 1, 1, 2]))
    assert grid.tolist() == [[1.0, 0.0], [2.0, 3.0], [4.0, 0.0]]
    assert present.tolist() == [[True, False], [True, True], [True, False]]


# --- PRO: mean log-probabilities, reward gaps as temperatures --------------------------------


def answered(rows: list[list[list[float]]], rewards: list[list[float]]) -> ListwiseScores:
    """Rankings of answers given token by token, without a reference."""
    return ListwiseScores(
        Sequences(from_lists([tokens for row in rows for tokens in row], dtype=torch.float64)),
        torch.tensor([i for i, row in enumerate(rows) for _ in row]),
        torch.tensor([r for row in rewards for r in row], dtype=torch.float64),
    )


def of_one_token(scores: list[float], rewards: list[float]) -> ListwiseScores:
    return answered([[[s] for s in scores]], [rewards])


def slow_pro(scores: list[float], rewards: list[float]) -> float:
    total = 0.0
    for k, (p, r) in enumerate(zip(scores, rewards, strict=True)):
        below = [i for i in range(len(scores)) if rewards[i] < r and i != k]
        if below:
            gaps = [r - rewards[i] for i in below]
            terms = [math.exp(scores[i] * g) for i, g in zip(below, gaps, strict=True)]
            total += math.log(math.exp(p * max(gaps)) + sum(terms)) - p * max(gaps)
    return total


small_scores = st.lists(st.floats(-8, -0.01), min_size=1, max_size=5)


@given(small_scores, st.randoms())
def test_pro_is_its_formula_written_out_slowly(scores, random):
    rewards = [round(random.uniform(-1, 1), 1) for _ in scores]
    loss = pro(of_one_token(scores, rewards), sft_weight=0.0).losses.item()
    assert loss == pytest.approx(slow_pro(scores, rewards), rel=1e-9, abs=1e-9)


def test_pro_worked_number():
    listed = of_one_token([-1.0, -1.5, -2.2], [1.0, 0.2, -0.5])
    assert pro(listed, sft_weight=0.0).losses.item() == pytest.approx(1.400200, abs=1e-6)


@given(st.floats(-8, 0), st.floats(-8, 0), st.floats(0.1, 3))
def test_pro_of_two_is_logistic_in_the_gap_times_the_lead(best, worst, gap):
    loss = pro(of_one_token([best, worst], [gap, 0.0]), sft_weight=0.0).losses.item()
    assert loss == pytest.approx(math.log1p(math.exp(-gap * (best - worst))))


@given(small_scores, st.randoms())
def test_pro_with_all_temperatures_one_is_plackett_luce(scores, random):
    rewards = [float(random.randint(0, 3)) for _ in scores]
    loss = pro(of_one_token(scores, rewards), sft_weight=0.0, temperature="constant")
    # The reference that `rankings` adds gives each -9, so its log-ratios are the scores.
    likelihood = plackett_luce(rankings([scores], [rewards]), beta=1.0)
    torch.testing.assert_close(loss.losses, likelihood.losses)


def test_pro_imitates_the_best_answer_summed_and_with_the_square_of_the_others():
    listed = answered([[[-1.0, -2.0], [-1.0], [-4.0]]], [[2.0, 1.0, 0.0]])
    ranking, both = (pro(listed, sft_weight=w).losses.item() for w in (0.0, 0.05))
    assert both - ranking == pytest.approx(0.05 * 2**2 * 3.0)
    tied = answered([[[-1.0, -2.0], [-1.0], [-4.0]]], [[2.0, 2.0, 0.0]])
    ranking, both = (pro(tied, sft_weight=w).losses.item() for w in (0.0, 0.05))
    assert both - ranking == pytest.approx(0.05 * 2**2 * 2.0)


def test_pro_of_a_single_answer_is_zero():
    assert pro(of_one_token([-3.0], [1.0])).losses.item() == 0.0


def test_pro_scores_are_means_so_that_length_alone_changes_nothing():
    short = answered([[[-1.0], [-2.0]]], [[1.0, 0.0]])
    long = answered([[[-1.0] * 4, [-2.0] * 3]], [[1.0, 0.0]])
    one, other = (pro(x, sft_weight=0.0).losses for x in (short, long))
    torch.testing.assert_close(one, other)


# --- AFT: better answers lead, worse ones are held to a boundary ------------------------------


def slow_aft(scores: list[float], rewards: list[float], margin: float) -> float:
    inside = 1.0
    for j, worse in enumerate(scores):
        above = [i for i in range(len(scores)) if rewards[i] > rewards[j]]
        if above:
            boundary = min(scores[i] for i in above) - margin
            for i in above:
                inside += math.exp(worse - scores[i]) + math.exp(2 * boundary - scores[i] - worse)
    best = [s for s, r in zip(scores, rewards, strict=True) if r == max(rewards)]
    return math.log(inside) - sum(best) / len(best)


@given(small_scores, st.floats(0, 1), st.randoms())
def test_aft_is_its_formula_written_out_slowly(scores, margin, random):
    rewards = [float(random.randint(0, 3)) for _ in scores]
    loss = aft(of_one_token(scores, rewards), margin=margin).losses.item()
    assert loss == pytest.approx(slow_aft(scores, rewards, margin), rel=1e-9, abs=1e-9)


def test_aft_worked_numbers():
    pair = of_one_token([-0.8, -0.5], [1.0, 0.0])
    plain = aft(pair, constraint="none").losses.item()
    assert plain == pytest.approx(0.8 + 0.854355, abs=1e-6)
    bounded = aft(pair, margin=0.15).losses.item()  # the boundary lies at -0.95
    assert bounded == pytest.approx(0.8 + 1.064252, abs=1e-6)


def gradient_of_aft(scores: list[float], rewards: list[float], **options) -> list[float]:
    listed = of_one_token(scores, rewards)
    leaf = listed.completions.policy.logps.requires_grad_()
    return torch.autograd.grad(aft(listed, **options).losses.sum(), leaf)[0].tolist()


@given(st.floats(-4, -0.1), st.floats(0.01, 1), st.floats(0.001, 3))
def test_the_gradient_on_a_worse_answer_changes_sign_at_the_boundary(better, margin, distance):
    boundary = better - margin
    for worse, sign in ((boundary + distance, 1), (boundary - distance, -1)):
        _, gradient = gradient_of_aft([better, worse], [1.0, 0.0], margin=margin)
        assert sign * gradient > 0
    _, at_boundary = gradient_of_aft([better, boundary], [1.0, 0.0], margin=margin)
    assert at_boundary == pytest.approx(0.0, abs=1e-9)


@given(small_scores.filter(lambda s: len(s) > 1), st.floats(0, 1), st.randoms())
def test_the_gradient_of_aft_holds_boundary_and_better_answer_constant(scores, margin, random):
    rewards = [float(random.randint(0, 2)) for _ in scores]
    leaf = torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    inside = torch.ones((), dtype=torch.float64)
    for j in range(len(scores)):
        above = [i for i in range(len(scores)) if rewards[i] > rewards[j]]
        for i in above:
            boundary = min(scores[k] for k in above) - margin
            inside = inside + (leaf[j] - leaf[i]).exp() + (2 * boundary - scores[i] - leaf[j]).exp()
    best = [i for i, r in enumerate(rewards) if r == max(rewards)]
    (expected,) = torch.autograd.grad(inside.log() - leaf[best].mean(), leaf)
    assert gradient_of_aft(scores, rewards, margin=margin) == pytest.approx(
        expected.tolist(), rel=1e-9, abs=1e-12
    )


def test_detached_sends_no_gradient_to_worse_answers():
    gradient = gradient_of_aft([-1.0, -0.4, -2.0], [1.0, 0.0, 0.0], constraint="detached")
    assert gradient[0] < 0
    assert gradient[1:] == [0.0, 0.0]


def test_unconstrained_worse_answers_are_pushed_down_wherever_they_are():
    for worse in (-0.5, -5.0, -50.0):
        assert gradient_of_aft([-1.0, worse], [1.0, 0.0], constraint="none")[1] > 0


@given(small_scores, st.randoms())
def test_aft_without_constraint_is_differentiated_as_it_is_computed(scores, random):
    rewards = [float(random.randint(0, 2)) for _ in scores]
    listed = of_one_token(scores, rewards)

    def losses(logps):
        policy = replace(listed.completions.policy, logps=logps)
        return aft(replace(listed, completions=Sequences(policy)), constraint="none").losses

    leaf = listed.completions.policy.logps.requires_grad_()
    assert torch.autograd.gradcheck(losses, (leaf,), fast_mode=True)


def test_a_threshold_makes_right_and_wrong_of_many_rewards():
    scores = [-1.0, -0.4, -2.0]
    split = aft(of_one_token(scores, [0.9, 0.6, 0.2]), threshold=0.5).losses
    torch.testing.assert_close(split, aft(of_one_token(scores, [1.0, 1.0, 0.0])).losses)


def test_a_list_without_a_good_answer_teaches_nothing_and_one_without_a_bad_one_is_imitated():
    scores = [-1.0, -3.0]
    assert gradient_of_aft(scores, [0.2, 0.1], threshold=0.5) == [0.0, 0.0]
    assert gradient_of_aft(scores, [0.9, 0.8], threshold=0.5) == [-0.5, -0.5]


@pytest.mark.parametrize("loss", [pro, aft])
def test_rankings_of_other_lengths_do_not_touch_each_other_either(loss):
    rows = [[[-1.0]], [[-0.5], [-2.0, -1.0], [-3.0]], [[-2.0], [-1.0]]]
    rewards = [[1.0], [2.0, 1.0, 0.5], [1.0, 0.0]]
    alone = [loss(answered([row], [r])).losses for row, r in zip(rows, rewards, strict=True)]
    torch.testing.assert_close(loss(answered(rows, rewards)).losses, torch.cat(alone))
