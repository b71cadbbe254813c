"""The arithmetic a model is run in.

Knows torch's autocast. Knows nothing of how models are loaded or trained.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from accordant.models.settings import Precision


def arithmetic(model: nn.Module, precision: Precision) -> AbstractContextManager[Any]:
    """Return the context in which a model is run in the arithmetic of `precision`."""
    import torch

    if precision != "bf16-mixed":
        return nullcontext()
    device = next(model.parameters()).device
    return torch.autocast(device.type, torch.bfloat16)
