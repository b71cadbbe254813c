"""Sums over the rows of a step and of a logging window, exact over processes.

Knows losses, weights, metrics and the clock. Knows nothing of models or of the loop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from accordant.objectives.batch import MetricTotals
from accordant.tokens.examples import Example
from accordant.training.batches import BatchRow
from accordant.training.processes import gather_objects


@dataclass(slots=True)
class StepTotals:
    """Sums of the losses of one step's rows, which stay where they were computed.

    Args:
        number: of the step in the run, from 1.
        rows: of this process, each with its weighted sum of losses and its sum of weights.
        loss: of the step over all processes, scalar; known after its last row.
        norm: of its gradients, scalar; known after that.
    """

    number: int
    rows: list[tuple[BatchRow, Tensor, Tensor]] = field(default_factory=list)
    loss: Tensor | None = None
    norm: Tensor | None = None

    def totals(self, device: torch.device) -> Tensor:
        """Return summed losses and weights of this process, float64 `[2]`."""
        totals = torch.zeros(2, dtype=torch.float64, device=device)
        for _, loss, weight in self.rows:
            totals += torch.stack([loss, weight])
        return totals

    def suspects(self) -> list[Example]:
        """Return examples of the rows whose loss is not finite; of all rows where every loss is."""
        bad = [row for row, loss, _ in self.rows if not bool(torch.isfinite(loss))]
        rows = bad or [row for row, _, _ in self.rows]
        return [example for row in rows for example in row.examples]


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
