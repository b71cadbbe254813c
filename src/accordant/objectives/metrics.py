"""What is logged of a batch, as totals and counts, so that averages over its parts are exact.

Knows inputs and outputs of objectives. Names follow the ecosystem (TRL) where it has one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from accordant.objectives.batch import loss_totals
from accordant.objectives.inputs import (
    BinaryScores,
    DemonstrationScores,
    JudgmentScores,
    ListwiseScores,
    LossOutput,
    PairwiseScores,
)
from accordant.objectives.listwise import to_grid

# A metric's name, its values and which of them (or how much each) count.
Row = tuple[str, Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class MetricTotals:
    """Named sums with their counts; those of the parts of a batch can be added.

    Args:
        names: one per metric; the same for every batch of one objective, so that the values of
            several processes can be summed by one reduction.
        values: `[2, metrics]`, totals in the first row, counts in the second, without gradient.
    """

    names: tuple[str, ...]
    values: Tensor

    def __add__(self, other: MetricTotals) -> MetricTotals:
        if self.names != other.names:
            raise ValueError(f"metrics differ: {self.names} and {other.names}")
        return replace(self, values=self.values + other.values)

    def averages(self) -> dict[str, float]:
        """Metrics by name; those that nothing was counted for are left out.

        Adds what is no average itself: `rewards/margins` of answers with thumbs (the difference of
        the two means) and `perplexity` of demonstrations.
        """
        totals, counts = self.values.tolist()
        found = {
            name: total / count
            for name, total, count in zip(self.names, totals, counts, strict=True)
            if count > 0
        }
        if "rewards/desirable" in found and "rewards/undesirable" in found:
            found["rewards/margins"] = found["rewards/desirable"] - found["rewards/undesirable"]
        if "nll" in found:
            found["perplexity"] = math.exp(min(found["nll"], 700.0))
        return found


def family_metrics(inputs: Any, output: LossOutput) -> MetricTotals:
    """Metrics of one batch or of one part of a batch.

    Every family logs `loss` and what the objective itself reports. Besides:

    - demonstrations: `nll`, per token;
    - thumbs: `rewards/desirable`, `rewards/undesirable`, `logps/desirable`, `logps/undesirable`;
    - comparisons: `rewards/chosen`, `rewards/rejected`, `rewards/margins`, `rewards/accuracies`
      (equal rewards count as wrong), `logps/chosen`, `logps/rejected`;
    - judgments: `nll/judged` and `nll/plain` (per token, with and without the judgment),
      `logps/good`, `logps/bad` (without it);
    - rankings: `rewards/best`, `rewards/worst`, `rewards/margins`, `rewards/accuracies` (share of
      all ordered pairs whose rewards are in that order), `rewards/top_accuracies` (share of
      rankings whose highest reward is on a best answer), `rewards/rank_correlation` (Kendall's tau
      over the pairs that are not tied in the data), `logps/best`, `logps/worst`.

    Rewards are left out where the objective defines none.
    """
    with torch.no_grad():
        rows = [*_common(output), *_rows_of(inputs, output)]
        values = [torch.stack([(v * c).sum(), c.sum()]) for _, v, c in rows]
        return MetricTotals(tuple(name for name, _, _ in rows), torch.stack(values, dim=1))


def _common(output: LossOutput) -> Iterator[Row]:
    total, count = loss_totals(output)
    # Divided here and multiplied again by the sum: a row is made of values and their counts.
    yield "loss", total / count, count
    ones = torch.ones_like(output.losses)
    for name, value in (output.metrics or {}).items():
        yield name, value.expand_as(ones), ones


def _rows_of(inputs: Any, output: LossOutput) -> Iterator[Row]:
    if isinstance(inputs, DemonstrationScores):
        yield from _of_demonstrations(inputs)
    elif isinstance(inputs, BinaryScores):
        yield from _of_binary(inputs, output)
    elif isinstance(inputs, PairwiseScores):
        yield from _of_pairs(inputs, output)
    elif isinstance(inputs, ListwiseScores):
        yield from _of_rankings(inputs, output)
    elif isinstance(inputs, JudgmentScores):
        yield from _of_judgments(inputs)


def _of_demonstrations(inputs: DemonstrationScores) -> Iterator[Row]:
    logps = inputs.completion.policy.logps
    yield "nll", -logps, torch.ones_like(logps)


def _of_binary(inputs: BinaryScores, output: LossOutput) -> Iterator[Row]:
    sums = inputs.completion.policy.sum()
    wanted = inputs.desirable.to(sums.dtype)
    if output.rewards is not None:
        yield "rewards/desirable", output.rewards, wanted
        yield "rewards/undesirable", output.rewards, 1 - wanted
    yield "logps/desirable", sums, wanted
    yield "logps/undesirable", sums, 1 - wanted


def _of_pairs(inputs: PairwiseScores, output: LossOutput) -> Iterator[Row]:
    ones = torch.ones_like(output.losses)
    if output.rewards is not None:
        chosen, rejected = output.rewards.chunk(2)
        yield "rewards/chosen", chosen, ones
        yield "rewards/rejected", rejected, ones
        yield "rewards/margins", chosen - rejected, ones
        yield "rewards/accuracies", (chosen > rejected).to(ones.dtype), ones
    yield "logps/chosen", inputs.chosen.policy.sum(), ones
    yield "logps/rejected", inputs.rejected.policy.sum(), ones


def _of_judgments(inputs: JudgmentScores) -> Iterator[Row]:
    plain, judged = inputs.plain.policy, inputs.judged.policy
    yield "nll/judged", -judged.logps, torch.ones_like(judged.logps)
    yield "nll/plain", -plain.logps, torch.ones_like(plain.logps)
    sums = plain.sum()
    good = inputs.good.to(sums.dtype)
    yield "logps/good", sums, good
    yield "logps/bad", sums, 1 - good


def _of_rankings(inputs: ListwiseScores, output: LossOutput) -> Iterator[Row]:
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
        yield "rewards/margins", margins, torch.ones_like(margins)
        yield from _order(rewards, labels, present)
    yield "logps/best", logps, best
    yield "logps/worst", logps, worst


def _order(rewards: Tensor, labels: Tensor, present: Tensor) -> Iterator[Row]:
    """How well the rewards follow the labels; all three `[rankings, longest]`."""
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
