"""Scores of rankings of any length, and how well implicit rewards follow their order.

Knows scores and rewards. Knows nothing of losses or models; imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from accordant.objectives.inputs import LossOutput, Sequences
from accordant.objectives.kind import ScoredKind, answer_counts
from accordant.objectives.numerics import to_grid
from accordant.statistics.measures import HeldOut, Measure, Tone, key_figure
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.held_out import Floats, HeldOutLogps, Values
    from accordant.objectives.kind import Row


@dataclass(frozen=True, slots=True)
class ListwiseScores(ScoredKind):
    """Rankings of any length, flat.

    Args:
        completions: all answers of all rankings, ranking by ranking, best first: `m` sequences.
        ranking: ranking every answer belongs to, int64 `[m]`, not decreasing, from 0 to `n` - 1.
        rewards: number every answer was ranked by, float32 `[m]`; without numbers, minus its rank.
    """

    feedback = ("ranking",)
    completions: Sequences
    ranking: Tensor
    rewards: Tensor

    @classmethod
    def assemble(cls, scores: Sequences, examples: Sequence[Example]) -> ListwiseScores:
        """Take all answers of every example, which may be a comparison: a ranking of two."""
        counts = enumerate(answer_counts(examples))
        owners = [place for place, count in counts for _ in range(count)]
        ranking = scores.policy.beside(scores.policy.lengths, owners)
        return cls(scores, ranking, scores.policy.beside(scores.policy.logps, _worth(examples)))

    def metrics(self, output: LossOutput) -> Iterator[Row]:
        """Yield rewards of the best and the worst, how far they follow the order, and `logps/`."""
        labels, present = to_grid(self.rewards, self.ranking)
        logps, _ = to_grid(self.completions.policy.sum(), self.ranking)
        highest = labels.masked_fill(~present, -float("inf")).amax(dim=1, keepdim=True)
        lowest = labels.masked_fill(~present, float("inf")).amin(dim=1, keepdim=True)
        best = (present & (labels == highest)).to(logps.dtype)
        worst = (present & (labels == lowest)).to(logps.dtype)
        # Every ranking counts once, however many answers share its first or last place.
        best, worst = best / best.sum(1, keepdim=True), worst / worst.sum(1, keepdim=True)
        if output.rewards is not None:
            rewards, _ = to_grid(output.rewards, self.ranking)
            yield "rewards/best", rewards, best
            yield "rewards/worst", rewards, worst
            margins = (rewards * (best - worst)).sum(1)
            yield "rewards/margins", margins, margins.new_ones(margins.shape)
            yield from _order_metrics(rewards, labels, present)
        yield "logps/best", logps, best
        yield "logps/worst", logps, worst

    @staticmethod
    def measure(logps: HeldOutLogps, examples: Sequence[Example], beta: float) -> HeldOut:
        """Measure how well implicit rewards follow the order of the answers."""
        owner = [place for place, count in enumerate(answer_counts(examples)) for _ in range(count)]
        return measure_rankings(logps, owner, _worth(examples), beta)


def _worth(examples: Sequence[Example]) -> list[float]:
    """Return the number of every answer of rankings: its reward, or minus its rank from 1."""
    worth: list[float] = []
    for example, count in zip(examples, answer_counts(examples), strict=True):
        numbers = example.rewards or tuple(-float(rank) for rank in range(1, count + 1))
        if len(numbers) != count:
            raise ValueError(f"{len(numbers)} rewards for {count} ranked answers")
        worth.extend(numbers)
    return worth


def _order_metrics(rewards: Tensor, labels: Tensor, present: Tensor) -> Iterator[Row]:
    """Yield how well the rewards follow the labels; all three `[rankings, longest]`.

    `rewards/accuracies` is the share of all ordered pairs whose rewards are in that order,
    `rewards/top_accuracies` of rankings whose highest reward is on a best answer;
    `rewards/rank_correlation` is Kendall's tau over the pairs that are not tied in the data.
    """
    # Every pair stands once, from its better answer; ties, and the diagonal, never do.
    pair = present.unsqueeze(1) & present.unsqueeze(2)
    ordered = (pair & (labels.unsqueeze(2) > labels.unsqueeze(1))).to(rewards.dtype)
    signs = (rewards.unsqueeze(2) - rewards.unsqueeze(1)).sign()
    yield "rewards/accuracies", (signs > 0).to(rewards.dtype), ordered
    rewards, labels = (x.masked_fill(~present, -float("inf")) for x in (rewards, labels))
    top = labels.gather(1, rewards.argmax(dim=1, keepdim=True)) == labels.amax(1, keepdim=True)
    comparable = ordered.sum((1, 2))
    some = (comparable > 0).to(rewards.dtype)
    yield "rewards/top_accuracies", top[:, 0].to(rewards.dtype), some
    yield "rewards/rank_correlation", (signs * ordered).sum((1, 2)) / comparable.clamp(min=1), some


def measure_rankings(
    completions: HeldOutLogps, ranking: Values, labels: Values, beta: float = 1.0
) -> HeldOut:
    """Measure rankings of any length, flat over their `m` completions.

    A ranking whose labels are all tied orders nothing: it is left out of the accuracies and of tau.
    `pair_accuracy` is averaged within each ranking and then over rankings.

    Args:
        completions: their log-probabilities, ranking by ranking.
        ranking: ranking every completion belongs to, whole numbers, `[m]`.
        labels: the higher the better, `[m]`; equal labels within a ranking are ties.
        beta: the objective's factor from log-ratios to implicit rewards.

    Raises:
        ValueError: a ranking has one completion only.
    """
    import numpy as np

    from accordant.objectives.held_out import against_chance, histogram_of, mean_of, paired
    from accordant.statistics.estimates import bootstrap_mean, proportion

    rewards, owner, worth = paired(
        completions=completions.rewards(beta), ranking=ranking, labels=labels
    )
    rows = [np.flatnonzero(owner == number) for number in np.unique(owner)]
    if any(len(row) < 2 for row in rows):
        raise ValueError("a ranking needs at least two completions")
    orders = [_order_of(rewards[row], worth[row]) for row in rows]
    ordered = [order for order in orders if order.pairs]
    # One answer a ranking: those that share the first place would make margins among equals.
    best = np.zeros(len(rewards), bool)
    best[[row[order.best] for row, order in zip(rows, orders, strict=True)]] = True
    gaps = np.array([order.gap for order in orders])
    shares = bootstrap_mean([order.accuracy for order in ordered])
    accuracy = Measure("pair_accuracy", shares, "share", "pair accuracy within rankings")
    top = proportion([order.top for order in ordered])
    tau = bootstrap_mean([order.tau for order in ordered])
    figure = key_figure("held-out Kendall tau", tau, "number", _TAU_READINGS)
    changes = (completions.change("best", best), completions.change("others", ~best, wanted=False))
    return HeldOut(
        kind="ranking",
        count=len(rows),
        facts={"pairs": sum(order.pairs for order in orders), "beta": beta},
        measures=(
            against_chance(accuracy, "held-out pair accuracy"),
            Measure("top_accuracy", top, "share", "best answer has the highest reward"),
            Measure("kendall_tau", tau, label="Kendall tau", figure=figure),
            mean_of("reward_margins", "implicit reward of the best minus the others", gaps),
        ),
        changes=changes,
        charts=(
            histogram_of(
                "Held-out margins of the best",
                "Right of zero the best answer has the higher implicit reward.",
                ("implicit reward of the best minus the mean of the others", "rankings"),
                ("rankings", gaps),
            ),
        ),
    )


_TAU_READINGS: dict[Tone, str] = {
    "good": "implicit rewards follow the labels",
    "bad": "implicit rewards run against the labels",
    "neutral": "no measurable relation to the labels",
}


class _Order(NamedTuple):
    """How well one ranking is ordered.

    Args:
        best: place of the first answer with the highest label.
        gap: its reward minus the mean of the others'.
        pairs: pairs that the labels do not tie; without any the three below are NaN.
        accuracy: share of them that the rewards order alike, ties half.
        tau: Kendall's tau-b.
        top: chance that an answer drawn from those with the highest reward has the highest label.
    """

    best: int
    gap: float
    pairs: int
    accuracy: float
    tau: float
    top: float


def _order_of(rewards: Floats, labels: Floats) -> _Order:
    """Compare the order of `rewards` with that of `labels`, both `[k]` of one ranking."""
    import numpy as np

    best = int(np.argmax(labels))
    gap = float(rewards[best] - np.delete(rewards, best).mean())
    first, second = np.triu_indices(len(labels), 1)
    wanted = np.sign(labels[first] - labels[second])
    given = np.sign(rewards[first] - rewards[second])
    agreement = (wanted * given)[wanted != 0]
    pairs = len(agreement)
    if pairs == 0:
        return _Order(best, gap, 0, np.nan, np.nan, np.nan)
    # tau-b corrects for ties of either order; pairs tied by the labels are left out above.
    spread = np.sqrt(pairs * np.count_nonzero(given))
    # A constant reward orders nothing, which is a correlation of 0.
    tau = float(agreement.sum() / spread) if spread else 0.0
    top = float((labels[rewards == rewards.max()] == labels.max()).mean())
    return _Order(best, gap, pairs, float((agreement.mean() + 1) / 2), tau, top)


KIND = ListwiseScores
