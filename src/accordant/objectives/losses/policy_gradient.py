"""Losses on several answers with a reward each, whose gradient is a policy gradient.

Knows scores and rewards. Knows nothing of models, tokenizers or trainers, nor of who sampled the
answers. In formulas h = log pi(y|x) - log ref(y|x), summed over the answer's tokens, R_i is the
reward of answer i and n the number of answers to a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from accordant.base.options import Positive
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.ranking import ListwiseScores
from accordant.objectives.numerics import softplus, to_grid, where
from accordant.objectives.registry import objective

if TYPE_CHECKING:
    from torch import Tensor


@objective(
    feedback=("ranking", "comparison"),
    needs_reference=True,
    paper="arXiv:2406.19185 Contrastive Policy Gradient: Aligning LLMs on sequence-level scores in "
    "a supervised-friendly fashion",
    formula="mean over pairs i < j of (Q_i - Q_j)^2 / (2 beta), Q_i = R_i - beta h_i; its gradient "
    "is -(2 / n) sum_i (Q_i - mean_{j != i} Q_j) grad log pi(y_i|x)",
)
def copg(rankings: ListwiseScores, *, beta: Positive = 0.1) -> LossOutput:
    """Contrastive policy gradient: any reward, from answers that anyone sampled.

    Q is the regularised reward. Descent is a policy gradient whose baseline is the Q of the
    prompt's other answers, each with its own reference term. That makes the loss a square, least at
    pi = ref exp(R / beta) / Z whatever distribution the answers came from, which neither the plain
    policy gradient nor one with a baseline of rewards alone achieves off-policy.

    Divided by beta, so that the gradient of a pair is (Q_1 - Q_2)(grad log pi(y_1) - grad log
    pi(y_2)) at any beta. For two answers with rewards a distance 1/2 apart it is IPO with
    tau = beta, times beta / 2. Rankings and comparisons without numbers count minus the rank as
    reward. A prompt with one answer has nothing to contrast and zero loss.

    Args:
        beta: strength of the pull towards the reference, in units of the reward per nat.
    """
    log_ratios = rankings.completions.log_ratio()
    regularised = rankings.rewards - beta * log_ratios
    grid, present = to_grid(regularised, rankings.ranking)
    counts = present.sum(dim=1).to(grid.dtype)
    centred = (grid - (grid.sum(dim=1) / counts).unsqueeze(1)).masked_fill(~present, 0.0)
    # Over the pairs of a prompt, so that more answers do not weigh more:
    # sum_{i<j} (Q_i - Q_j)^2 = n sum_i (Q_i - mean)^2, over n (n - 1) / 2 pairs.
    losses = centred.square().sum(dim=1) / ((counts - 1).clamp(min=1) * beta)
    return LossOutput(losses, beta * log_ratios.detach())


@dataclass(frozen=True, slots=True)
class Divergence:
    """An f-divergence D_f(pi || p) = E_p[f(pi / p)], by functions of log t for t = pi / p.

    Args:
        ratio: f(t) / t, so that D_f is its mean over samples of pi.
        slope: f'(t).
    """

    ratio: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


Name = Literal["reverse_kl", "forward_kl", "total_variation", "jensen_shannon"]

DIVERGENCES: Mapping[Name, Divergence] = {
    # f(t) = t log t: KL(pi || p).
    "reverse_kl": Divergence(lambda u: u, lambda u: u + 1),
    # f(t) = -log t: KL(p || pi).
    "forward_kl": Divergence(lambda u: -u * (-u).exp(), lambda u: -(-u).exp()),
    # f(t) = |t - 1| / 2.
    "total_variation": Divergence(lambda u: (1 - (-u).exp()).abs() / 2, lambda u: u.sign() / 2),
    # f(t) = t log t - (t + 1) log((t + 1) / 2): twice the textbook's.
    "jensen_shannon": Divergence(
        lambda u: u - (1 + (-u).exp()) * (softplus(u) - math.log(2)),
        lambda u: math.log(2) - softplus(-u),
    ),
}


@objective(
    needs_reference=True,
    on_policy=True,
    paper="arXiv:2302.08215 Aligning Language Models with Preferences through f-divergence "
    "Minimization, theorem 1",
    formula="D_f(pi || p), with gradient mean_i (f'(t_i) - b_i) grad log pi(y_i|x); t = pi / p, "
    "p = ref exp(R / beta) / Z or exp(R) / Z, Z = mean_i of p Z / pi, b_i = mean_{j != i} f'(t_j)",
)
def f_dpg(
    rankings: ListwiseScores,
    *,
    divergence: Name = "jensen_shannon",
    target: Literal["posterior", "log_probability"] = "posterior",
    beta: Positive = 0.1,
    normalise: bool = True,
    baseline: Literal["leave_one_out", "none"] = "leave_one_out",
    clip: Positive = 10.0,
) -> LossOutput:
    """Distributional policy gradient: any f-divergence to a target distribution, on own samples.

    The answers must be samples of the policy as it is: on answers that are older or another's the
    gradient is not that of the divergence. Forward KL covers all of the target and keeps diversity,
    reverse KL seeks its mode, Jensen-Shannon lies between them.

    The number reported as the loss is the divergence as the samples estimate it, its gradient the
    policy gradient; f'(t) carries none. The target's constant Z is estimated for every prompt from
    its own samples, so a prompt needs several; its error, of the order of one over their number,
    shifts t. The Jensen-Shannon f is t log t - (t + 1) log((t + 1) / 2), twice the textbook's.

    Args:
        divergence: which D_f(pi || p) is made small.
        target: posterior takes the numbers as rewards, p = ref exp(R / beta) / Z, which is where
            KL-regularised reward maximisation ends; log_probability takes them as log p, up to a
            constant.
        beta: temperature of the posterior, in units of the reward per nat.
        normalise: whether Z is estimated from the samples; false where the numbers are such that
            Z is 1 already.
        baseline: what is taken from f'(t) to steady the gradient without changing its mean; a
            prompt with one sample takes f'(1).
        clip: log t counts as at most this far from 0, nats.
    """
    logps = rankings.completions.policy.sum()
    # The ratio to the target weighs samples; a gradient through it would be of another quantity.
    log_ratios = rankings.completions.log_ratio().detach()
    if target == "posterior":
        gaps = log_ratios - rankings.rewards / beta
    else:
        gaps = logps.detach() - rankings.rewards
    log_t, present = to_grid(gaps, rankings.ranking)
    counts = present.sum(dim=1, keepdim=True).to(log_t.dtype)
    if normalise:
        # log Z, from the mean of p Z / pi over the prompt's own samples.
        inverse = (-log_t).masked_fill(~present, -float("inf"))
        log_t = log_t + inverse.logsumexp(dim=1, keepdim=True) - counts.log()
    # exp(-log t) of one sample the target loves would otherwise be the whole step.
    log_t = log_t.clamp(-clip, clip)
    chosen = DIVERGENCES[divergence]
    estimates, slopes = (
        function(log_t).masked_fill(~present, 0.0) for function in (chosen.ratio, chosen.slope)
    )
    if baseline == "leave_one_out":
        slopes = (slopes - _of_the_others(slopes, counts, chosen)).masked_fill(~present, 0.0)
    grid, _ = to_grid(logps, rankings.ranking)
    value = estimates.sum(dim=1) / counts[:, 0]
    # Worth nothing, but with the gradient of slopes x grid.
    push = ((grid - grid.detach()) * slopes).sum(dim=1) / counts[:, 0]
    return LossOutput(value + push, beta * log_ratios)


def _of_the_others(slopes: Tensor, counts: Tensor, divergence: Divergence) -> Tensor:
    """Average f'(t) over a prompt's other samples, `[rankings, longest]`; f'(1) without any."""
    others = (slopes.sum(dim=1, keepdim=True) - slopes) / (counts - 1).clamp(min=1)
    return where(counts > 1, others, divergence.slope(slopes.new_zeros(())).expand_as(slopes))
