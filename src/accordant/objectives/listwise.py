"""Losses on rankings of any length.

Knows scores and the order of answers. Knows nothing of models, tokenizers or trainers. In formulas
s_i = beta (log pi(y_i|x) - log ref(y_i|x)), summed over the answer's tokens, and r_i the number the
answer was ranked by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accordant.objectives._math import positions
from accordant.objectives.inputs import ListwiseScores, LossOutput
from accordant.objectives.options import Positive
from accordant.objectives.registry import objective

if TYPE_CHECKING:
    from torch import Tensor


@objective(
    name="plackett_luce",
    feedback=("ranking", "comparison"),
    needs_reference=True,
    paper="arXiv:2305.18290 Direct Preference Optimization: Your Language Model is Secretly a "
    "Reward Model, appendix A.3",
    formula="-sum_i [s_i - log(exp(s_i) + sum_{j: r_j < r_i} exp(s_j))]",
)
def plackett_luce(rankings: ListwiseScores, *, beta: Positive = 0.1) -> LossOutput:
    """Plackett-Luce: every answer is chosen from itself and all those ranked below it.

    The loss of a ranking is the negative log-likelihood of its order, summed over its places; for
    two answers it is DPO. Answers with equal rewards are not compared with each other: each is
    chosen from itself and those strictly below, so the order in which ties stand has no effect,
    and a ranking without any difference has zero loss.

    Args:
        beta: strength of the pull towards the reference; larger stays nearer to it.
    """
    scores = beta * rankings.completions.log_ratio()
    grid, present = to_grid(scores, rankings.ranking)
    rewards, _ = to_grid(rankings.rewards, rankings.ranking)
    below = present.unsqueeze(1) & (rewards.unsqueeze(1) < rewards.unsqueeze(2))
    diagonal = positions(grid.shape[1], grid)
    below[:, diagonal, diagonal] = True
    # [rankings, i, j]: s_j where j is i itself or ranked below it.
    candidates = grid.unsqueeze(1).masked_fill(~below, -float("inf"))
    losses = (candidates.logsumexp(dim=2) - grid).masked_fill(~present, 0.0).sum(dim=1)
    return LossOutput(losses, scores.detach())


def to_grid(values: Tensor, ranking: Tensor) -> tuple[Tensor, Tensor]:
    """Lay flat per-answer values out as one row per ranking, without a loop over rankings.

    Args:
        values: one number per answer, `[m]`.
        ranking: ranking of every answer, int64 `[m]`, not decreasing, from 0.

    Returns:
        the values `[rankings, longest]`, 0 where a shorter ranking has ended, and a bool mask of
        the same shape that is True where there is an answer.
    """
    lengths = ranking.bincount()
    starts = lengths.cumsum(0) - lengths
    place = positions(ranking.shape[0], ranking) - starts[ranking]
    present = positions(int(lengths.max()), ranking) < lengths.unsqueeze(1)
    grid = values.new_zeros(present.shape).index_put((ranking, place), values)
    return grid, present
