"""Functions of torch that tensors have no method for, imported when they are first called.

With these the family files need no import of torch, so listing objectives stays instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def log_sigmoid(x: Tensor) -> Tensor:
    """log(1 / (1 + exp(-x))) without overflow."""
    import torch

    return torch.nn.functional.logsigmoid(x)


def join(parts: Sequence[Tensor]) -> Tensor:
    """The parts one after another along the first dimension."""
    import torch

    return torch.cat(list(parts))


def where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` where the condition (bool) holds, `no` elsewhere."""
    import torch

    return torch.where(condition, yes, no)


def positions(length: int, like: Tensor) -> Tensor:
    """0, 1, ..., length - 1 as int64 on the device of `like`."""
    import torch

    return torch.arange(length, device=like.device)
