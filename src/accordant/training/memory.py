"""Running out of memory, early and with a way out.

Knows allocators' errors and what an optimiser will come to hold. Knows nothing of models or data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from accordant.base.errors import UserError
from accordant.training.optimizer import CompensatedAdamW


@contextmanager
def explained(tokens: int, examples: int, budget: int) -> Iterator[None]:
    """Turn a lack of memory into an error that says what to change.

    Args:
        tokens: tokens of the row that is run.
        examples: examples in it.
        budget: tokens a row may hold.

    Raises:
        UserError: memory ran out.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        if examples > 1:
            smaller = f"Lower --token-budget (now {budget}; try {max(budget // 2, 16)}), or use "
        else:
            smaller = "A single example does not fit: lower --max-length, or use "
        raise UserError(
            f"memory ran out on a row of {examples} examples with {tokens} tokens.",
            where="training",
            mend=f"{smaller}--gradient-checkpointing, --lora-rank 16 or --sharding fsdp2.",
        ) from error


@contextmanager
def reserved_for_optimizer(optimizer: Any) -> Iterator[None]:
    """Hold as much memory as the optimiser's state will take, as it is made at the first step."""
    held = []
    for group in optimizer.param_groups:
        for param in group["params"]:
            local = param.to_local() if hasattr(param, "to_local") else param
            held.append(
                torch.empty(_state_bytes(local, optimizer), dtype=torch.uint8, device=local.device)
            )
    try:
        yield
    finally:
        held.clear()


def _state_bytes(param: torch.Tensor, optimizer: Any) -> int:
    inner = getattr(optimizer, "optimizer", optimizer)
    if isinstance(inner, CompensatedAdamW) and param.dtype == torch.bfloat16:
        return param.numel() * (2 + 2 * inner.moments.itemsize)
    return param.numel() * 2 * param.dtype.itemsize


def _is_lack_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error).lower()
    return "out of memory" in words or "can't allocate memory" in words


def peak_bytes() -> int:
    """Return the most bytes this process has held: on its accelerator, else of the machine."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
