"""Sums over a batch that stay exact when the batch is split: of losses and of batch statistics.

Knows objectives, their inputs and outputs. Knows nothing of processes or steps: whoever splits a
batch adds the totals of its parts, over micro-batches and processes, before dividing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from accordant.objectives.inputs import LossOutput
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
        columns = objective.batch_means(inputs, **options)
        applies = ~columns.isnan()
        return torch.stack([columns.nansum(0), applies.sum(0).to(columns.dtype)])


def column_means(totals: Tensor) -> Tensor:
    """Return means from added `column_totals`: `[2, k]` to `[k]`, NaN where nothing was counted."""
    return totals[0] / totals[1]


def loss_totals(output: LossOutput, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Sum a batch's losses, each times its weight, and the weights.

    The loss of a global batch is the sum of the first over its parts, divided by the sum of the
    second.

    Args:
        output: of the batch.
        weights: how much every example counts besides the objective's own weights, `[n]`; 1 when
            None.

    Returns:
        two scalars, the first with gradient.
    """
    counted = output.weights
    if weights is not None:
        own = torch.ones_like(output.losses) if counted is None else counted
        counted = own * weights.to(own)
    if counted is None:
        return output.losses.sum(), output.losses.new_tensor(float(output.losses.shape[0]))
    return (output.losses * counted).sum(), counted.sum()
