"""Functions of torch that tensors have no method for, imported when they are first called.

With these the family files need no import of torch, so listing objectives stays instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def log_sigmoid(x: Tensor) -> Tensor:
    """Compute log(1 / (1 + exp(-x))) without overflow."""
    import torch

    return torch.nn.functional.logsigmoid(x)


def softplus(x: Tensor) -> Tensor:
    """Compute log(1 + exp(x)) without overflow."""
    import torch

    return torch.nn.functional.softplus(x)


def bounded_exp(x: Tensor) -> Tensor:
    """Compute exp(x), continued along its tangent beyond 30: float32 overflows at 88."""
    steepest = 30.0
    return x.clamp(max=steepest).exp() * (1 + (x - steepest).clamp(min=0))


def join(parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Put tensors one after another along a dimension."""
    import torch

    return torch.cat(list(parts), dim)


def where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Take `yes` where the condition (bool) holds, `no` elsewhere."""
    import torch

    return torch.where(condition, yes, no)


def log_add(one: Tensor, other: Tensor) -> Tensor:
    """Compute log(exp(one) + exp(other)) without overflow."""
    import torch

    return torch.logaddexp(one, other)


def log_complement(log_p: Tensor) -> Tensor:
    """Compute log(1 - exp(log_p)) of log-probabilities, exact at both ends (Maechler, 2012).

    Probabilities nearer to 1 than the number format resolves count as that near, so that value and
    gradient stay finite.
    """
    import torch

    nearest = -torch.finfo(log_p.dtype).eps
    # Each branch sees only numbers it is exact on: `where` drops the value of the other branch, but
    # not a NaN or infinity of its gradient.
    near = log_p.clamp(min=-0.7, max=nearest)
    far = log_p.clamp(max=-0.6)
    return torch.where(log_p > -0.65, (-near.expm1()).log(), (-far.exp()).log1p())


def to_grid(values: Tensor, ranking: Tensor) -> tuple[Tensor, Tensor]:
    """Lay flat per-answer values out as one row per ranking, without a loop over rankings.

    Args:
        values: one number per answer, `[m]`.
        ranking: ranking of every answer, int64 `[m]`, not decreasing, from 0.

    Returns:
        the values `[rankings, longest]`, 0 where a shorter ranking has ended, and a bool mask of
        the same shape that is True where there is an answer.
    """
    import torch

    lengths = ranking.bincount()
    starts = lengths.cumsum(0) - lengths
    place = torch.arange(ranking.shape[0], device=ranking.device) - starts[ranking]
    present = torch.arange(int(lengths.max()), device=ranking.device) < lengths.unsqueeze(1)
    grid = values.new_zeros(present.shape).index_put((ranking, place), values)
    return grid, present
