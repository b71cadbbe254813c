"""Losses on rankings of any length.

Knows scores and the order of answers. Knows nothing of models, tokenizers or trainers. In formulas
s_i = beta (log pi(y_i|x) - log ref(y_i|x)), summed over the answer's tokens, p_i is the mean of
log pi over them, and r_i the number the answer was ranked by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from accordant.base.options import NonNegative
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.ranking import ListwiseScores
from accordant.objectives.numerics import join, to_grid
from accordant.objectives.registry import Beta, objective

if TYPE_CHECKING:
    from torch import Tensor


@objective(
    feedback=("ranking", "comparison"),
    needs_reference=True,
    paper="arXiv:2305.18290 Direct Preference Optimization: Your Language Model is Secretly a "
    "Reward Model, appendix A.3",
    formula="-sum_i [s_i - log(exp(s_i) + sum_{j: r_j < r_i} exp(s_j))]",
)
def plackett_luce(rankings: ListwiseScores, *, beta: Beta = 0.1) -> LossOutput:
    """Plackett-Luce: every answer is chosen from itself and all those ranked below it.

    The loss of a ranking is the negative log-likelihood of its order, summed over its places; for
    two answers it is DPO. Answers with equal rewards are not compared with each other: each is
    chosen from itself and those strictly below, so the order in which ties stand has no effect,
    and a ranking without any difference has zero loss.
    """
    scores = beta * rankings.completions.log_ratio()
    grid, _ = to_grid(scores, rankings.ranking)
    return LossOutput(order_loss(grid, better_than(rankings)), scores.detach())


@objective(
    feedback=("ranking", "comparison"),
    needs_reference=False,
    paper="arXiv:2306.17492 Preference Ranking Optimization for Human Alignment",
    formula="sum_k [log(exp(T_kk p_k) + sum_{i: r_i < r_k} exp(T_ki p_i)) - T_kk p_k] "
    "- sft_weight (n - 1)^2 log pi(best); T_ki = r_k - r_i, T_kk = max_i T_ki, or all 1",
)
def pro(
    rankings: ListwiseScores,
    *,
    sft_weight: NonNegative = 0.05,
    temperature: Literal["reward_gaps", "constant"] = "reward_gaps",
) -> LossOutput:
    """Preference ranking optimisation: place by place the better answer against all below it.

    The gaps between rewards sharpen each comparison: an answer far below is pushed down harder than
    one that is nearly as good. They multiply log-probabilities per token, so rewards should be of
    the order of 1; rankings without numbers have gaps of whole ranks, and for those the paper's
    form without a reward model, `temperature=constant`, is the usual one. Answers with
    equal rewards are not compared with each other. An implicit reward is p_i.

    Args:
        sft_weight: weight of imitating the best answer.
        temperature: factor of a comparison: the gap between the two rewards, or 1 for all, which
            makes it the Plackett-Luce likelihood of mean log-probabilities.
    """
    scores = rankings.completions.policy.mean()
    grid, present = to_grid(scores, rankings.ranking)
    rewards, _ = to_grid(rankings.rewards, rankings.ranking)
    better = better_than(rankings)
    # The authors' temperatures: T_ki multiplies the worse answer's score, its largest the better's.
    gaps = (rewards.unsqueeze(2) - rewards.unsqueeze(1)).masked_fill(~better, 0.0)
    if temperature == "constant":
        gaps = better.to(grid.dtype)
    losses = order_loss(grid, better, gaps)
    sums, _ = to_grid(rankings.completions.policy.sum(), rankings.ranking)
    best = present & ~better.any(dim=1)
    # Summed over tokens, where comparisons take means; answers that share the first place share it.
    imitation = -(sums * best).sum(dim=1) / best.sum(dim=1)
    # Grows with the square of the ranking's length, as in the authors' code.
    others = (present.sum(dim=1) - 1).to(grid.dtype)
    return LossOutput(losses + sft_weight * others.square() * imitation, scores.detach())


@objective(
    feedback=("ranking", "comparison"),
    needs_reference=False,
    paper="arXiv:2309.02144 Making Large Language Models Better Reasoners with Alignment",
    formula="-mean of p over the best "
    "+ log(1 + sum_{i, j: r_i > r_j} [exp(p_j - p_i) + exp(2 B_j - p_i - p_j)]); "
    "B_j = min of p over the answers better than j, minus margin; in the second term B_j and p_i "
    "carry no gradient",
)
def aft(
    rankings: ListwiseScores,
    *,
    constraint: Literal["boundary", "detached", "none"] = "boundary",
    margin: NonNegative = 0.15,
    threshold: float | None = None,
) -> LossOutput:
    """Alignment fine-tuning: imitate good answers, push worse ones below them, but not too far.

    Without a constraint the loss can always be lowered by making bad answers ever less likely,
    which ruins what they share with good ones. The boundary constraint holds every worse answer to
    a margin under the worst answer above it: there, with one better answer, its two pulls cancel.
    Detached, the other form of the paper, sends no gradient to worse answers at all.

    With rewards of two values, as for right and wrong solutions, this is the paper's boundary form;
    with more it is its ranking form, over all ordered pairs. `threshold` makes two of many. The
    best answers, all that share the highest reward, are imitated, with equal weight and per token.
    An implicit reward is p_i.

    Args:
        constraint: what keeps worse answers from being pushed away without end.
        margin: how far below better answers the boundary lies, nats per token.
        threshold: reward from which an answer is good and under which it is bad; none to compare
            all that differ.
    """
    scores = rankings.completions.policy.mean()
    grid, present = to_grid(scores, rankings.ranking)
    rewards, _ = to_grid(rankings.rewards, rankings.ranking)
    if threshold is not None:
        rewards = (rewards >= threshold).to(grid.dtype)
    better = strictly_above(rewards, present)
    best = present & ~better.any(dim=1)
    if threshold is not None:
        # In a list without any good answer the best is not good: nothing there is imitated.
        best = best & (rewards > 0)
    imitation = -(grid * best).sum(dim=1) / best.sum(dim=1).clamp(min=1)
    worse = grid.detach() if constraint == "detached" else grid
    exponents = [worse.unsqueeze(1) - grid.unsqueeze(2)]
    if constraint == "boundary":
        exponents.append(_boundary(grid, better, margin))
    terms = [e.masked_fill(~better, -float("inf")).flatten(start_dim=1) for e in exponents]
    # The column of zeros is the 1 inside the logarithm.
    pushes = join([grid.new_zeros(grid.shape[0], 1), *terms], dim=1).logsumexp(dim=1)
    return LossOutput(imitation + pushes, scores.detach())


def _boundary(grid: Tensor, better: Tensor, margin: float) -> Tensor:
    """Compute 2 B_j - p_i - p_j, `[rankings, i, j]`; only the worse answer j has a gradient."""
    # Held constant, or lowering the better answers would lower the boundary as well.
    fixed = grid.detach()
    above = fixed.unsqueeze(2).expand_as(better).masked_fill(~better, float("inf"))
    lowest = above.amin(dim=1).masked_fill(~better.any(dim=1), 0.0)
    targets = 2 * (lowest - margin).unsqueeze(1) - fixed.unsqueeze(2)
    return targets - grid.unsqueeze(1)


def better_than(rankings: ListwiseScores) -> Tensor:
    """Find which answers of a ranking are better than which, by their rewards.

    Returns:
        bool `[rankings, i, j]`: True where answer i has a greater reward than answer j of the same
        ranking; ties are not better than each other.
    """
    rewards, present = to_grid(rankings.rewards, rankings.ranking)
    return strictly_above(rewards, present)


def strictly_above(values: Tensor, present: Tensor) -> Tensor:
    """Find where value i exceeds value j of `[rankings, longest]`, both present; `[.., i, j]`."""
    # Where a shorter ranking has ended the grid holds zeros, which are no rewards.
    both = present.unsqueeze(1) & present.unsqueeze(2)
    return both & (values.unsqueeze(2) > values.unsqueeze(1))


def order_loss(scores: Tensor, better: Tensor, factors: Tensor | None = None) -> Tensor:
    """Sum -log of the chance to choose every answer from itself and those below, `[rankings]`.

    Args:
        scores: `[rankings, longest]`.
        better: from `better_than`, `[rankings, i, j]`.
        factors: multiply the scores of those below, `[rankings, i, j]`; answer i itself takes its
            largest factor. All 1 when None.
    """
    chosen, below = scores, scores.unsqueeze(1).expand_as(better)
    if factors is not None:
        chosen, below = scores * factors.amax(dim=2), below * factors
    below = below.masked_fill(~better, -float("inf"))
    # Last column: the answer itself, so that one with nothing below it costs exactly nothing.
    candidates = join([below, chosen.unsqueeze(2)], dim=2)
    return (candidates.logsumexp(dim=2) - chosen).sum(dim=1)
