"""Scores of rankings of any length, and how well implicit rewards follow their order.

Knows scores and rewards. Knows nothing of losses or models; imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.objectives.inputs import NOTHING, Attached, LossOutput, Sequences
from accordant.objectives.kind import ScoredKind, answer_counts
from accordant.objectives.numerics import to_grid
from accordant.statistics.measures import HeldOut, Measure, Tone, chance_figure, key_figure
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.held_out import Floats, HeldOutLogps, Values
    from accordant.objectives.kind import Row


@dataclass(frozen=True, slots=True)
class ListwiseScores:
    """Rankings of any length, flat.

    Args:
        completions: all answers of all rankings, ranking by ranking, best first: `m` sequences.
        ranking: ranking every answer belongs to, int64 `[m]`, not decreasing, from 0 to `n` - 1.
        rewards: number every answer was ranked by, float32 `[m]`; without numbers, minus its rank.
        attached: what preparations gave.
    """

    completions: Sequences
    ranking: Tensor
    rewards: Tensor
    attached: Attached = NOTHING


def assemble(scores: Sequences, examples: Sequence[Example]) -> ListwiseScores:
    """Build the record of scores of rankings."""
    counts = scores.policy.lengths.new_tensor(answer_counts(examples))
    ranking = counts.new_tensor(range(len(examples))).repeat_interleave(counts)
    return ListwiseScores(scores, ranking, scores.policy.logps.new_tensor(_worth(examples)))


def _worth(examples: Sequence[Example]) -> list[float]:
    """Return the number of every answer of rankings: its reward, or minus its rank from 1."""
    worth: list[float] = []
    for example, count in zip(examples, answer_counts(examples), strict=True):
        numbers = example.rewards or tuple(-float(rank) for rank in range(1, count + 1))
        if len(numbers) != count:
            raise ValueError(f"{len(numbers)} rewards for {count} ranked answers")
        worth.extend(numbers)
    return worth


def metrics(inputs: ListwiseScores, output: LossOutput) -> Iterator[Row]:
    """Yield rewards of the best and the worst, how far they follow the order, and `logps/`."""
    labels, present = to_grid(inputs.rewards, inputs.ranking)
    logps, _ = to_grid(inputs.completions.policy.sum(), inputs.ranking)
    highest = labels.masked_fill(~present, -float("inf")).amax(dim=1, keepdim=True)
    lowest = labels.masked_fill(~present, float("inf")).amin(dim=1, keepdim=True)
    best = (present & (labels == highest)).to(logps.dtype)
    worst = (present & (labels == lowest)).to(logps.dtype)
    # Every ranking counts once, however many answers share its first or last place.
    best, worst = best / best.sum(1, keepdim=True), worst / worst.sum(1, keepdim=True)
    if output.rewards is not None:
        rewards, _ = to_grid(output.rewards, inputs.ranking)
        yield "rewards/best", rewards, best
        yield "rewards/worst", rewards, worst
        margins = (rewards * (best - worst)).sum(1)
        yield "rewards/margins", margins, margins.new_ones(margins.shape)
        yield from _order_metrics(rewards, labels, present)
    yield "logps/best", logps, best
    yield "logps/worst", logps, worst


def _order_metrics(rewards: Tensor, labels: Tensor, present: Tensor) -> Iterator[Row]:
    """Yield how well the rewards follow the labels; all three `[rankings, longest]`.

    `rewards/accuracies` is the share of all ordered pairs whose rewards are in that order,
    `rewards/top_accuracies` of rankings whose highest reward is on a best answer;
    `rewards/rank_correlation` is Kendall's tau over the pairs that are not tied in the data.
    """
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

    from accordant.objectives.held_out import histogram_of, mean_of
    from accordant.statistics.estimates import bootstrap_mean, proportion, to_floats

    rewards = completions.rewards(beta)
    owner, worth = to_floats(ranking, "ranking"), to_floats(labels, "labels")
    if not rewards.shape == owner.shape == worth.shape:
        raise ValueError(f"{len(rewards)} completions, {len(owner)} owners, {len(worth)} labels")
    rows = [np.flatnonzero(owner == number) for number in np.unique(owner)]
    if any(len(row) < 2 for row in rows):
        raise ValueError("a ranking needs at least two completions")
    orders = [_order_of(rewards[row], worth[row]) for row in rows]
    ordered = [order for order in orders if order.pairs]
    tops = [row[np.argmax(worth[row])] for row in rows]
    best = np.isin(np.arange(len(rewards)), tops)
    gaps = np.array(
        [
            rewards[top] - rewards[row[row != top]].mean()
            for row, top in zip(rows, tops, strict=True)
        ]
    )
    accuracy = bootstrap_mean([order.accuracy for order in ordered])
    top = proportion([order.top for order in ordered])
    tau = bootstrap_mean([order.tau for order in ordered])
    return HeldOut(
        kind="ranking",
        count=len(rows),
        facts={"pairs": sum(order.pairs for order in orders), "beta": beta},
        measures=(
            Measure(
                "pair_accuracy",
                accuracy,
                "share",
                "pair accuracy within rankings",
                figure=chance_figure("held-out pair accuracy", accuracy),
            ),
            Measure("top_accuracy", top, "share", "best answer has the highest reward"),
            Measure(
                "kendall_tau",
                tau,
                label="Kendall tau",
                figure=key_figure("held-out Kendall tau", tau, "number", _TAU_READINGS),
            ),
            mean_of("reward_margins", "implicit reward of the best minus the others", gaps),
        ),
        changes=(
            completions.change("best", best),
            completions.change("others", ~best, wanted=False),
        ),
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


@dataclass(frozen=True, slots=True)
class _Order:
    """How well one ranking is ordered; `pairs` counts pairs that the labels do not tie."""

    pairs: int
    accuracy: float
    tau: float
    top: float


def _order_of(rewards: Floats, labels: Floats) -> _Order:
    """Compare the order of `rewards` with that of `labels`, both `[k]` of one ranking."""
    import numpy as np

    first, second = np.triu_indices(len(labels), 1)
    wanted = np.sign(labels[first] - labels[second])
    given = np.sign(rewards[first] - rewards[second])
    agreement = (wanted * given)[wanted != 0]
    pairs = len(agreement)
    if pairs == 0:
        return _Order(0, np.nan, np.nan, np.nan)
    # Kendall's tau-b; a constant reward orders nothing, which is a correlation of 0.
    spread = np.sqrt(pairs * np.count_nonzero(given))
    tau = float(agreement.sum() / spread) if spread else 0.0
    # Chance that an answer drawn from those with the highest reward has the highest label.
    top = float((labels[rewards == rewards.max()] == labels.max()).mean())
    return _Order(pairs, float((agreement.mean() + 1) / 2), tau, top)


def _measure(logps: HeldOutLogps, examples: Sequence[Example], beta: float) -> HeldOut:
    owner = [place for place, count in enumerate(answer_counts(examples)) for _ in range(count)]
    return measure_rankings(logps, owner, _worth(examples), beta)


KIND = ScoredKind(
    feedback=("ranking",),
    inputs=ListwiseScores,
    assemble=assemble,
    metrics=metrics,
    measure=_measure,
)
