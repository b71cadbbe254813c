"""Decoder layers as compiled code, for the packed rows of a run.

Knows transformers' decoder layers, torch's compiler and lengths of rows. Knows nothing of what the
rows are for. Layers of one kind share their code: it is made once with gradients and once without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from accordant.models.adapters import base_model_of
from accordant.models.hooks import decoder_layers
from accordant.scoring.layout import BLOCK

# Kinds of calls that are compiled before torch gives up: gradients, windows, adapters, lengths, a
# last layer that leaves tokens out. Its own limit is 8.
KINDS = 64


@contextmanager
def compiled_layers(
    models: Sequence[nn.Module],
    lengths: Sequence[int] = (),
    backend: str | Callable[..., Any] = "inductor",
) -> Iterator[None]:
    """Run the layers of `models` as compiled code inside the block; other calls than of packed rows
    (generation, say) run as before.

    Args:
        models: prepared by `scoring.install`, wrapped or not.
        lengths: ascending; a row is filled up to the first of them that it fits in, so that no
            shape ever changes. When empty, one code serves rows of any length.
        backend: of `torch.compile`.
    """
    bases = [base_model_of(model) for model in models]
    layers = [layer for base in bases for layer in decoder_layers(base)]
    # Without guards on hooks, code made for one layer would pass over the hooks of another.
    config = {"recompile_limit": KINDS, "skip_nnmodule_hook_guards": False}
    with torch._dynamo.config.patch(config):
        for base in bases:
            base._accordant_lengths = tuple(lengths)
        for layer in layers:
            compiled = torch.compile(_own_forward(layer), dynamic=not lengths, backend=backend)
            # Where `layer.compile()` puts it: copies and saved models leave it out.
            layer._compiled_call_impl = partial(_call, layer, compiled)
        try:
            yield
        finally:
            for layer in layers:
                layer._compiled_call_impl = None
            for base in bases:
                del base._accordant_lengths


def _own_forward(layer: nn.Module) -> Callable[..., Any]:
    """Return a layer's forward without the recomputation that transformers wraps it in."""
    forward: Any = type(layer).forward
    while forward.__code__.co_name == "forward_with_checkpointing":
        forward = forward.__wrapped__
    return forward


def _call(layer: nn.Module, compiled: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if kwargs.get("tree_layout") is None or "forward" in vars(layer):
        return layer._call_impl(*args, **kwargs)
    # The layer's hooks (of FSDP, say) run as ever, around the compiled code and not in it.
    vars(layer)["forward"] = partial(_forward, layer, compiled)
    try:
        return layer._call_impl(*args, **kwargs)
    finally:
        del vars(layer)["forward"]


def _forward(layer: Any, compiled: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if layer.training and getattr(layer, "gradient_checkpointing", False):
        return layer._gradient_checkpointing_func(partial(compiled, layer, **kwargs), *args)
    return compiled(layer, *args, **kwargs)


def row_lengths(model: nn.Module) -> tuple[int, ...]:
    """Return the lengths that rows are filled up to, ascending; none where any will do."""
    lengths: tuple[int, ...] = getattr(base_model_of(model), "_accordant_lengths", ())
    return lengths


def static_lengths(longest: int) -> tuple[int, int]:
    """Return the lengths of rows that hold at most `longest` tokens: half, and whole.

    Whole blocks of attention each; the last row of a step is often a short one.
    """
    whole = -(-longest // (2 * BLOCK)) * 2 * BLOCK
    return whole // 2, whole


def why_not_compilable(device: torch.device) -> str:
    """Explain why layers cannot be compiled on `device`; empty where they can."""
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        return "" if has_triton() else "Triton is not installed"
    if device.type != "cpu":
        return f"it was not tried on {device.type}"
    found = any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++")))
    return "" if found else "there is no C++ compiler"
