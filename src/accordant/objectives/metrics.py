"""What is logged of a batch, as totals and counts, so that averages over its parts are exact.

Knows inputs and outputs of objectives. Names follow the ecosystem (TRL) where it has one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from accordant.objectives.batch import loss_totals
from accordant.objectives.inputs import LossOutput

if TYPE_CHECKING:
    from accordant.objectives.kind import Row, ScoredKind


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
