"""CoPG and f-DPG against exact gradients of tabular policies, IPO and worked numbers."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.inputs import Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.kinds.ranking import ListwiseScores
from accordant.objectives.losses.pairwise import ipo
from accordant.objectives.losses.policy_gradient import DIVERGENCES, copg, f_dpg
from accordant.scoring.scores import Scores, from_lists
from tests.objectives.test_listwise import rankings

ratios = st.lists(st.floats(-5, 5), min_size=2, max_size=5)
each_divergence = pytest.mark.parametrize("divergence", DIVERGENCES)


def sampled(
    logps: torch.Tensor,
    reference: torch.Tensor,
    rewards: torch.Tensor,
    lists: list[tuple[int, ...]],
) -> ListwiseScores:
    """Lists of arms as answers of one token, scored by a table: `logps` may carry a gradient."""
    arms = torch.tensor([arm for row in lists for arm in row])
    index = torch.arange(len(arms))
    ranking = torch.tensor([i for i, row in enumerate(lists) for _ in row])

    def scores(table: torch.Tensor) -> Scores:
        return Scores(table[arms], index, torch.ones_like(index), ranking)

    both = Sequences(scores(logps), scores(reference))
    return ListwiseScores(both, ranking, rewards[arms])


def table(*probabilities: float) -> torch.Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


# --- CoPG ------------------------------------------------------------------------------------


def test_copg_worked_number():
    # Q = 1 - 0.5 and 0 - 0.1, so they differ by 0.6; half the square is 0.18, over beta.
    loss = copg(rankings([[1.0, 0.2]], [[1.0, 0.0]]), beta=0.5).losses.item()
    assert loss == pytest.approx(0.180000 / 0.5, abs=1e-9)


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=4),
    st.floats(0.05, 1),
)
def test_copg_with_two_samples_and_rewards_half_apart_is_ipo(pairs, beta):
    listed = rankings([list(pair) for pair in pairs], [[0.25, -0.25] for _ in pairs])
    both, m = listed.completions, len(pairs)
    paired = PairwiseScores(
        both.select(torch.arange(0, 2 * m, 2)), both.select(torch.arange(1, 2 * m, 2))
    )
    expected = ipo(paired, tau=beta).losses * beta / 2
    torch.testing.assert_close(copg(listed, beta=beta).losses, expected)


@given(ratios, st.floats(0.05, 1), st.randoms())
def test_its_gradient_is_the_policy_gradient_with_the_others_as_baseline(scores, beta, random):
    rewards = [random.uniform(-2, 2) for _ in scores]
    listed = rankings([scores], [rewards])
    leaf = listed.completions.policy.logps.requires_grad_()
    (gradient,) = torch.autograd.grad(copg(listed, beta=beta).losses.sum(), leaf)
    q = [r - beta * s for r, s in zip(rewards, scores, strict=True)]
    n = len(q)
    expected = [-2 / n * (own - (sum(q) - own) / (n - 1)) for own in q]
    assert gradient.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(ratios, st.floats(-5, 5), st.floats(0.05, 1))
def test_a_constant_in_all_rewards_changes_nothing(scores, constant, beta):
    plain, shifted = (
        copg(rankings([scores], [[c - i for i in range(len(scores))]]), beta=beta).losses
        for c in (0.0, constant)
    )
    torch.testing.assert_close(plain, shifted)


def test_it_is_zero_at_the_regularised_optimum_and_nowhere_near_it():
    reference, rewards, beta = table(0.5, 0.3, 0.2), torch.tensor([0.3, -0.2, 1.0]).double(), 0.4
    optimum = (reference + rewards / beta).log_softmax(-1)
    lists = [(0, 1, 2), (0, 1), (2, 1)]
    at_optimum = copg(sampled(optimum, reference, rewards, lists), beta=beta).losses
    assert at_optimum.abs().max() < 1e-12
    assert copg(sampled(reference, reference, rewards, lists), beta=beta).losses.min() > 0.01


def test_on_policy_its_mean_gradient_is_that_of_the_regularised_reward():
    """Over all pairs of independent samples, with their probabilities: no sampling noise."""
    logits = torch.tensor([0.2, -0.5, 0.9], dtype=torch.float64, requires_grad=True)
    reference, rewards, beta = table(0.5, 0.3, 0.2), torch.tensor([0.3, -0.2, 1.0]).double(), 0.4
    logps = logits.log_softmax(-1)
    pairs = list(itertools.product(range(3), repeat=2))
    chance = torch.stack([logps.detach()[list(pair)].sum().exp() for pair in pairs])
    loss = (chance * copg(sampled(logps, reference, rewards, pairs), beta=beta).losses).sum()
    (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
    value = (logps.exp() * (rewards - beta * (logps - reference))).sum()
    (ascent,) = torch.autograd.grad(value, logits)
    # Twice, as each sample of a pair gives a gradient.
    torch.testing.assert_close(gradient, -2 * ascent)


def test_a_single_answer_has_nothing_to_contrast():
    assert copg(rankings([[1.5]], [[2.0]])).losses.item() == 0.0


# --- f-DPG -----------------------------------------------------------------------------------

PI, TARGET = table(0.5, 0.3, 0.2), table(0.2, 0.5, 0.3)
# Every arm as often as the policy takes it: means over this list are exact expectations.
POPULATION = (0,) * 5 + (1,) * 3 + (2,) * 2
F = {
    "reverse_kl": lambda t: t * t.log(),
    "forward_kl": lambda t: -t.log(),
    "total_variation": lambda t: (t - 1).abs() / 2,
    "jensen_shannon": lambda t: t * t.log() - (t + 1) * ((t + 1) / 2).log(),
}


def exact_divergence(name: str, logps: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """sum_y p f(pi / p), differentiable."""
    return (target.exp() * F[name]((logps - target).exp())).sum()


@pytest.mark.parametrize(
    ("divergence", "worked"),
    [
        ("reverse_kl", 0.223805),
        ("forward_kl", 0.193794),
        ("total_variation", 0.3),
        ("jensen_shannon", 2 * 0.050875),
    ],
)
def test_its_value_is_the_divergence(divergence, worked):
    listed = sampled(PI, PI, TARGET, [POPULATION])
    value = f_dpg(listed, divergence=divergence, target="log_probability").losses.item()
    assert value == pytest.approx(worked, abs=1e-6)


@each_divergence
@pytest.mark.parametrize("baseline", ["none", "leave_one_out"])
def test_its_gradient_over_the_population_is_exact(divergence, baseline):
    logits = PI.clone().requires_grad_()
    logps = logits.log_softmax(-1)
    options = {"divergence": divergence, "target": "log_probability", "baseline": baseline}
    loss = f_dpg(sampled(logps, PI, TARGET, [POPULATION]), **options).losses.sum()
    (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
    (expected,) = torch.autograd.grad(exact_divergence(divergence, logps, TARGET), logits)
    # Samples of a fixed list are not independent: what all others have is a little more different.
    n = len(POPULATION)
    torch.testing.assert_close(gradient, expected * (n / (n - 1) if baseline != "none" else 1))


@each_divergence
@pytest.mark.parametrize("baseline", ["none", "leave_one_out"])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_its_mean_gradient_over_all_draws_is_exact(divergence, baseline, samples):
    """Independent draws, with the target's constant known: unbiased with and without baseline."""
    logits = PI.clone().requires_grad_()
    logps = logits.log_softmax(-1)
    draws = list(itertools.product(range(3), repeat=samples))
    chance = torch.stack([logps.detach()[list(draw)].sum().exp() for draw in draws])
    listed = sampled(logps, PI, TARGET, draws)
    output = f_dpg(
        listed,
        divergence=divergence,
        target="log_probability",
        normalise=False,
        baseline=baseline,
    )
    (gradient,) = torch.autograd.grad((chance * output.losses).sum(), logits, retain_graph=True)
    (expected,) = torch.autograd.grad(exact_divergence(divergence, logps, TARGET), logits)
    torch.testing.assert_close(gradient, expected)
    value = (chance * output.losses).sum()
    torch.testing.assert_close(value, exact_divergence(divergence, logps, TARGET))


# Not for the total variation: the target is its kink, where rounding decides between its slopes.
@pytest.mark.parametrize("divergence", [name for name in DIVERGENCES if name[:5] != "total"])
def test_the_gradient_is_zero_at_the_target(divergence):
    reference, rewards, beta = table(0.5, 0.3, 0.2), torch.tensor([0.3, -0.2, 1.0]).double(), 0.4
    posterior = (reference + rewards / beta).log_softmax(-1).requires_grad_()
    listed = sampled(posterior, reference, rewards, [(0, 1, 2, 2), (1, 2)])
    output = f_dpg(listed, divergence=divergence, beta=beta)
    (gradient,) = torch.autograd.grad(output.losses.sum(), posterior)
    assert gradient.abs().max() < 1e-7
    assert output.losses.abs().max() < 1e-7


@each_divergence
def test_a_posterior_from_rewards_is_a_target_given_by_its_logarithm(divergence):
    reference, rewards, beta = table(0.6, 0.3, 0.1), torch.tensor([0.3, -0.2, 1.0]).double(), 0.4
    lists = [(0, 0, 1, 2), (2, 1)]
    by_rewards = f_dpg(
        sampled(PI, reference, rewards, lists), divergence=divergence, beta=beta
    ).losses
    logarithm = reference + rewards / beta + 3.0  # up to any constant
    by_logarithm = f_dpg(
        sampled(PI, reference, logarithm, lists), divergence=divergence, target="log_probability"
    ).losses
    torch.testing.assert_close(by_rewards, by_logarithm)


@each_divergence
@given(log_t=st.floats(-6, 6))
def test_the_slope_of_each_divergence_is_the_derivative_of_its_f(divergence, log_t):
    if divergence == "total_variation" and abs(log_t) < 1e-6:
        return  # its kink
    u = torch.tensor(log_t, dtype=torch.float64)
    t = u.exp().requires_grad_()
    (slope,) = torch.autograd.grad(F[divergence](t), t)
    torch.testing.assert_close(DIVERGENCES[divergence].slope(u), slope)
    ratio = F[divergence](t.detach()) / t.detach()
    torch.testing.assert_close(DIVERGENCES[divergence].ratio(u), ratio, rtol=1e-7, atol=1e-12)


@each_divergence
def test_a_lone_sample_without_a_known_constant_says_nothing(divergence):
    logps = PI.clone().requires_grad_()
    loss = f_dpg(sampled(logps, PI, TARGET, [(1,)]), divergence=divergence).losses.sum()
    (gradient,) = torch.autograd.grad(loss, logps)
    assert gradient.abs().max() == 0.0
    assert loss.item() == pytest.approx(0.0, abs=1e-12)


def test_log_ratios_are_clipped():
    listed = sampled(table(0.999, 0.001), table(0.5, 0.5), torch.tensor([0.0, 9.0]), [(0, 1)])
    tight, loose = (f_dpg(listed, divergence="reverse_kl", clip=c).losses.item() for c in (1.0, 99))
    assert tight < loose
    assert tight == pytest.approx((1.0 - math.log(2)) / 2)  # t = 2 pi_i / p_i: one huge, one 1/2


@pytest.mark.parametrize("loss", [copg, f_dpg])
def test_prompts_do_not_touch_each_other(loss):
    rows, rewards = [[1.0], [0.5, 0.2, 3.0], [2.0, -1.0]], [[1.0], [2.0, 1.0, 0.0], [1.0, 0.0]]
    alone = [
        loss(rankings([row], [r]), beta=1.0).losses for row, r in zip(rows, rewards, strict=True)
    ]
    torch.testing.assert_close(loss(rankings(rows, rewards), beta=1.0).losses, torch.cat(alone))


def test_scores_written_by_hand_are_enough():
    """Without a table: two answers of several tokens, scored as the engine would."""
    policy = from_lists([[-0.5, -0.5], [-1.0]], tree=[0, 0], dtype=torch.float64)
    reference = from_lists([[-1.0, -1.0], [-1.0]], tree=[0, 0], dtype=torch.float64)
    listed = ListwiseScores(
        Sequences(policy, reference), torch.tensor([0, 0]), torch.tensor([1.0, 0.0])
    )
    # Q = 1 - 0.1 * 1 and 0.
    assert copg(listed, beta=0.1).losses.item() == pytest.approx(0.9**2 / 0.2)
