"""Sums over the rows of a step and of a logging window, exact over processes.

Knows losses, weights, metrics and the clock. Knows nothing of models or of the loop.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from accordant.objectives.batch import MetricTotals
from accordant.tokens.examples import Example
from accordant.training.batches import BatchRow
from accordant.training.processes import gather_objects


class StepTotals:
    """Sums of the losses of one step's rows in this process."""

    def __init__(self) -> None:
        self._rows: list[tuple[BatchRow, Tensor, Tensor]] = []

    def add(self, row: BatchRow, loss: Tensor, weight: Tensor) -> None:
        """Take in a row's weighted sum of losses and sum of weights, scalars without gradient."""
        self._rows.append((row, loss, weight))

    def totals(self, device: torch.device) -> Tensor:
        """Return summed losses, weights and tokens, float64 `[3]`."""
        totals = torch.zeros(3, dtype=torch.float64, device=device)
        for row, loss, weight in self._rows:
            totals[0] += loss
            totals[1] += weight
            totals[2] += row.num_tokens
        return totals

    def suspects(self) -> list[Example]:
        """Return examples of the rows whose loss is not finite; of all rows where every loss is."""
        rows = [row for row, _, _ in self._rows]
        bad = [row for row, loss, _ in self._rows if not bool(torch.isfinite(loss))]
        return [example for row in bad or rows for example in row.examples]


class Window:
    """Metrics and speed since the last log line.

    Args:
        seen: tokens trained on before the window began, in all processes.
    """

    def __init__(self, seen: int = 0) -> None:
        self._totals: MetricTotals | None = None
        self._seen = seen
        self._started = time.perf_counter()

    def add(self, totals: MetricTotals) -> None:
        """Take in the metrics of one row."""
        self._totals = totals if self._totals is None else self._totals + totals

    def pause(self, seconds: float) -> None:
        """Leave out time that was not spent on training."""
        self._started += seconds

    def speed(self, seen: int) -> float:
        """Return tokens a second since the window began, given all tokens trained on so far."""
        return (seen - self._seen) / max(time.perf_counter() - self._started, 1e-9)

    def averages(self) -> dict[str, float]:
        """Return averages over all rows of all processes; every process must call this."""
        mine = self._totals
        if mine is not None:
            mine = MetricTotals(mine.names, mine.values.cpu())
        parts = [part for part in gather_objects(mine) if part is not None]
        if not parts:
            return {}
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total.averages()
