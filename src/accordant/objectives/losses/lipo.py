"""Losses on rankings as learning to rank: the family of LiPO.

Knows scores and the order of answers. Knows nothing of models, tokenizers or trainers. In formulas
s_i = beta (log pi(y_i|x) - log ref(y_i|x)), summed over the answer's tokens, r_i is the number the
answer was ranked by and psi_i its label in [0, 1]. A pair counts where r_i > r_j; losses are summed
over the answers or pairs of a ranking, and ties are not compared.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from accordant.base.options import Positive
from accordant.objectives import registry
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.ranking import ListwiseScores
from accordant.objectives.losses.listwise import better_than, order_loss
from accordant.objectives.numerics import log_sigmoid, to_grid
from accordant.objectives.registry import Beta

if TYPE_CHECKING:
    from torch import Tensor

objective = partial(
    registry.objective,
    slug="lipo",
    feedback=("ranking", "comparison"),
    needs_reference=True,
    paper="arXiv:2402.01878 LiPO: Listwise Preference Optimization through Learning-to-Rank",
)

Labels = Annotated[
    Literal["scaled", "given"],
    Field(
        description="scaled maps the rewards of each ranking to [0, 1], its best answer to 1 and "
        "its worst to 0; given takes rewards that lie between 0 and 1 as they are."
    ),
]


@objective(
    formula="-sum_{r_i > r_j} |2^psi_i - 2^psi_j| |1 / log(1 + t_i) - 1 / log(1 + t_j)| "
    "log sigmoid(s_i - s_j), t_i = place of s_i from the top, without gradient",
)
def lipo_lambda(
    rankings: ListwiseScores, *, beta: Beta = 0.05, labels: Labels = "scaled"
) -> LossOutput:
    """LiPO-lambda: pairwise logistic losses, weighed by what swapping the two would cost.

    The cost is the change of the discounted cumulative gain (LambdaLoss): a pair weighs more the
    further its labels lie apart and the nearer the policy's own order has one of them to the top.
    Where the policy scores two answers the same, as all at the start, the better
    one takes the higher place, so that no pair begins without weight.
    """
    scores, grid, better = _scores(rankings, beta)
    gains = 2 ** _labels(rankings, labels)
    # Natural logarithms, as in the paper's code; base 2 would multiply all losses by 0.69.
    discounts = 1 / (1 + _places(grid.detach(), rankings)).log()
    # Without gradient: the places come from a detached grid and the gains from the data.
    weights = _differences(gains).abs() * _differences(discounts).abs()
    losses = -log_sigmoid(_differences(grid)) * weights
    return LossOutput(_over_pairs(losses, better), scores.detach())


@objective(
    formula="-sum_{r_i > r_j} log sigmoid(s_i - s_j)",
)
def lipo_pairwise(rankings: ListwiseScores, *, beta: Beta = 0.05) -> LossOutput:
    """LiPO's pairwise logistic loss (RankNet): DPO on every ordered pair of the ranking."""
    scores, grid, better = _scores(rankings, beta)
    losses = -log_sigmoid(_differences(grid))
    return LossOutput(_over_pairs(losses, better), scores.detach())


@objective(
    formula="sum_{r_i > r_j} max(0, margin - (s_i - s_j))",
)
def lipo_hinge(
    rankings: ListwiseScores, *, beta: Beta = 0.05, margin: Positive = 1.0
) -> LossOutput:
    """LiPO's pairwise hinge loss (RankSVM): every better answer leads every worse one by a margin.

    For two answers it is SLiC on log-ratios.

    Args:
        margin: lead in reward at which a pair no longer counts.
    """
    scores, grid, better = _scores(rankings, beta)
    losses = (margin - _differences(grid)).clamp(min=0)
    return LossOutput(_over_pairs(losses, better), scores.detach())


@objective(
    formula="sum_i (psi_i - s_i)^2",
)
def lipo_pointwise(
    rankings: ListwiseScores, *, beta: Beta = 0.05, labels: Labels = "scaled"
) -> LossOutput:
    """LiPO's pointwise loss: the implicit reward of every answer is regressed on its label.

    The only one of the family that looks at each answer by itself. It draws rewards to numbers, not
    to an order, and an answer's log-ratio is never free to drift with the others.
    """
    scores, grid, _ = _scores(rankings, beta)
    # Where a shorter ranking has ended both are 0.
    losses = (_labels(rankings, labels) - grid).square().sum(dim=1)
    return LossOutput(losses, scores.detach())


@objective(
    formula="-sum_i softmax(psi)_i log softmax(s)_i",
)
def lipo_softmax(
    rankings: ListwiseScores, *, beta: Beta = 0.05, labels: Labels = "scaled"
) -> LossOutput:
    """LiPO's softmax loss (ListNet): the distribution of rewards is drawn to that of the labels.

    It is least at rewards that differ as the labels do, so that, unlike in pairwise losses, no
    answer is pushed without end.
    """
    scores, grid, _ = _scores(rankings, beta)
    _, present = to_grid(scores, rankings.ranking)
    absent = -float("inf")
    # Softmax of labels in [0, 1], as in ListNet: even the best answer's share stays well below 1.
    targets = _labels(rankings, labels).masked_fill(~present, absent).softmax(dim=1)
    logs = grid.masked_fill(~present, absent).log_softmax(dim=1).masked_fill(~present, 0.0)
    return LossOutput(-(targets * logs).sum(dim=1), scores.detach())


@objective(
    formula="-sum_i [s_i - log(exp(s_i) + sum_{j: r_j < r_i} exp(s_j))]",
)
def lipo_listmle(rankings: ListwiseScores, *, beta: Beta = 0.05) -> LossOutput:
    """LiPO's list MLE: the likelihood of the whole order, place by place.

    The same loss as `plackett_luce`, with the family's beta.
    """
    scores, grid, better = _scores(rankings, beta)
    return LossOutput(order_loss(grid, better), scores.detach())


def _scores(rankings: ListwiseScores, beta: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return s flat `[m]` and by ranking, and which pairs count, `[rankings, i, j]`."""
    scores = beta * rankings.completions.log_ratio()
    grid, _ = to_grid(scores, rankings.ranking)
    return scores, grid, better_than(rankings)


def _labels(rankings: ListwiseScores, labels: str) -> Tensor:
    """Return psi, `[rankings, longest]`; 0 where a ranking has ended, or is tied throughout."""
    rewards, present = to_grid(rankings.rewards, rankings.ranking)
    if labels == "given":
        return rewards
    lowest = rewards.masked_fill(~present, float("inf")).amin(dim=1, keepdim=True)
    above = (rewards - lowest).masked_fill(~present, 0.0)
    highest = above.amax(dim=1, keepdim=True)
    # A ranking that is tied throughout has no scale: all its labels are 0.
    return above / highest.masked_fill(highest == 0, 1.0)


def _places(scores: Tensor, rankings: ListwiseScores) -> Tensor:
    """Count the place of every score from the top, from 1, as numbers `[rankings, longest]`.

    Equal scores stand in the order of their rewards, equal rewards in the order given.
    """
    rewards, present = to_grid(rankings.rewards, rankings.ranking)
    rewards, scores = (x.masked_fill(~present, -float("inf")) for x in (rewards, scores))
    # Two stable sorts, the weaker key first, as of a table by two columns.
    order = rewards.argsort(dim=1, descending=True, stable=True)
    order = order.gather(1, scores.gather(1, order).argsort(dim=1, descending=True, stable=True))
    # Inverted: the place of every answer, not the answer at every place.
    return 1 + order.argsort(dim=1).to(scores.dtype)


def _differences(values: Tensor) -> Tensor:
    """Subtract value j from value i, `[rankings, i, j]`."""
    return values.unsqueeze(2) - values.unsqueeze(1)


def _over_pairs(losses: Tensor, better: Tensor) -> Tensor:
    """Sum over the pairs of every ranking, `[rankings]`."""
    return losses.masked_fill(~better, 0.0).sum(dim=(1, 2))
