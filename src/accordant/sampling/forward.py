"""One pass of a model over new tokens, for the logits after one token of every row.

Knows transformers' forward and its head. Knows nothing of caches but that they are handed on.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch

from accordant.models.adapters import base_model_of

if TYPE_CHECKING:
    from torch import Tensor, nn


ONE_PASS = threading.RLock()
"""Held for a pass: hooks and attention are the model's, which a server's threads share."""


def next_logits(
    model: nn.Module,
    tokens: Tensor,
    positions: Tensor,
    cache: Any,
    last: Tensor | int = -1,
    **options: Any,
) -> Tensor:
    """Feed tokens into a cache and return the logits after one token of every row.

    Args:
        model: a transformers causal language model, or a PEFT model around one.
        tokens: int64 `[rows, new]`.
        positions: their position ids, `[rows, new]`.
        cache: is extended in place.
        last: which token of a row, int64 `[rows]`, or of all rows.
        options: further arguments of the model's forward.

    Returns:
        `[rows, vocabulary]` in the model's dtype.
    """
    rows = torch.arange(len(tokens), device=tokens.device)
    # The head is the dearest layer of a small model: it is given one state a row, whatever its
    # family calls the argument for that, or if it has none.
    head: Any = base_model_of(model).get_output_embeddings()
    with ONE_PASS, ExitStack() as stack:
        if tokens.shape[1] > 1:
            pick = head.register_forward_pre_hook(lambda _, a: (a[0][rows, last][:, None],))
            stack.callback(pick.remove)
        logits: Tensor = model(
            input_ids=tokens,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            **options,
        ).logits
    return logits[:, 0] if logits.shape[1] == 1 else logits[rows, last]
