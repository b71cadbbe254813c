"""Sums over a batch that stay exact when it is split: losses, batch statistics and what is logged.

Knows objectives, their inputs and outputs. Knows nothing of processes or steps: whoever splits a
batch adds the totals of its parts, over micro-batches and processes, before dividing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from accordant.objectives.inputs import LossOutput

if TYPE_CHECKING:
    from accordant.objectives.kind import Row, ScoredKind
    from accordant.objectives.registry import Objective


def evaluate(
    objective: Objective,
    inputs: Any,
    options: Mapping[str, Any],
    means: Tensor | None = None,
) -> LossOutput:
    """Run an objective on the scores of one batch, or of one part of a batch.

    Args:
        objective: what to run.
        inputs: record of scores of the objective's family.
        options: from `bind_options`.
        means: statistics over the global batch, `[k]`, from `batch_means`; when None and the
            objective needs them, they are taken over `inputs` alone, which is right for a batch
            that is not split.
    """
    if objective.batch_means is None:
        return objective.function(inputs, **options)
    if means is None:
        means = column_means(column_totals(objective, inputs, options))
    return objective.function(inputs, means=means, **options)


def column_totals(objective: Objective, inputs: Any, options: Mapping[str, Any]) -> Tensor:
    """Return sums and counts of an objective's batch statistics over `inputs`, without gradient.

    Returns:
        `[2, k]`: sums without NaN in the first row, numbers that are not NaN in the second.

    Raises:
        ValueError: the objective has no batch statistics.
    """
    if objective.batch_means is None:
        raise ValueError(f"objective {objective.name!r} has no batch statistics")
    with torch.no_grad():
        # A sum and a count for each column, as a mean of means would weigh small parts too much.
        columns = objective.batch_means(inputs, **options)
        applies = ~columns.isnan()
        return torch.stack([columns.nansum(0), applies.sum(0).to(columns.dtype)])


def column_means(totals: Tensor) -> Tensor:
    """Return means from added `column_totals`: `[2, k]` to `[k]`, NaN where nothing was counted."""
    return totals[0] / totals[1]


def loss_totals(output: LossOutput, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Sum a batch's losses, each times its weight, and the weights: two scalars.

    The loss of a global batch is the sum of the first over its parts, divided by the sum of the
    second.

    Args:
        output: of the batch.
        weights: how much every example counts besides the objective's own weights, `[n]`; 1 when
            None.
    """
    counted = torch.ones_like(output.losses) if output.weights is None else output.weights
    if weights is not None:
        counted = counted * weights.to(counted)
    return (output.losses * counted).sum(), counted.sum()


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
        """Return metrics by name; those that nothing was counted for are left out.

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
            # Of the average, not an average of exponentials; float64 overflows at 710.
            found["perplexity"] = math.exp(min(found["nll"], 700.0))
        return found


def family_metrics(inputs: ScoredKind, output: LossOutput) -> MetricTotals:
    """Compute the metrics of one batch or of one part of a batch.

    Every kind logs `loss`, what the objective itself reports, and its own (`objectives.kinds`).
    Rewards are left out where the objective defines none.
    """
    with torch.no_grad():
        rows = [*_common(output), *inputs.metrics(output)]
        values = [torch.stack([(v * c).sum(), c.sum()]) for _, v, c in rows]
        return MetricTotals(tuple(name for name, _, _ in rows), torch.stack(values, dim=1))


def _common(output: LossOutput) -> Iterator[Row]:
    total, count = loss_totals(output)
    # Divided here and multiplied again by the sum: a row is made of values and their counts.
    yield "loss", total / count, count
    ones = torch.ones_like(output.losses)
    for name, value in (output.metrics or {}).items():
        yield name, value.expand_as(ones), ones
