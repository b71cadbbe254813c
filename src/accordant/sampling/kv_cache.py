"""Key-value caches for decoding: made, filled token by token, and shortened.

Knows token ids, padding on the left and transformers' cache interface. Knows nothing of sampling or
text.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

if TYPE_CHECKING:
    from torch import Tensor, nn

ROOM = 64
"""Tokens by which a layer's buffer grows; `DynamicLayer` copies the whole cache at every token."""


class GrowingLayer(DynamicLayer):
    """A `DynamicLayer` that writes new tokens into spare room instead of copying the cache.

    `keys` and `values` are views of the used part. Whoever replaces them (row selection,
    reordering) needs no knowledge of the buffers: a view that is not theirs is copied into new
    ones.
    """

    keys: Tensor
    values: Tensor

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        *args: Any,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Append states `[batch, heads, new, width]`; returns all states, used part only."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys, self._key_buffer = _append(
            self.keys, getattr(self, "_key_buffer", None), key_states
        )
        self.values, self._value_buffer = _append(
            self.values, getattr(self, "_value_buffer", None), value_states
        )
        return self.keys, self.values


def _append(used: Tensor, buffer: Tensor | None, new: Tensor) -> tuple[Tensor, Tensor]:
    length = used.shape[-2] if used.numel() else 0
    total = length + new.shape[-2]
    is_view = (
        buffer is not None
        and length > 0
        and used.data_ptr() == buffer.data_ptr()
        and used.shape[0] == buffer.shape[0]
    )
    if buffer is None or not is_view or buffer.shape[-2] < total:
        room = (total // ROOM + 1) * ROOM
        grown = new.new_empty((*new.shape[:-2], room, new.shape[-1]))
        if length:
            grown[..., :length, :] = used
        buffer = grown
    buffer[..., length:total, :] = new
    return buffer[..., :total, :], buffer


def new_cache(model: nn.Module) -> DynamicCache:
    """Make an empty cache of the kind the layers ask for (sliding windows kept as they are)."""
    cache = DynamicCache(config=model.config)
    cache.layers = [GrowingLayer() if type(x) is DynamicLayer else x for x in cache.layers]
    return cache


def padded_prompts(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Lay prompts out with padding on the left: token ids and mask, int64 `[rows, longest]`."""
    longest = max(map(len, prompts))
    tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return tokens.to(device), mask.to(device)


def next_logits(
    model: nn.Module, tokens: Tensor, mask: Tensor | None, positions: Tensor, cache: DynamicCache
) -> Tensor:
    """Feed tokens into the cache and return float32 logits after the last of every row.

    Args:
        model: a transformers causal language model, or a PEFT model around one.
        tokens: int64 `[rows, new]`.
        mask: of all tokens in the cache and the new ones, int64 `[rows, length]`; None for no
            padding.
        positions: position ids of the new tokens, int64 `[rows, new]`.
        cache: is extended in place.

    Returns:
        float32 `[rows, vocabulary]`.
    """
    extra = {"logits_to_keep": 1} if _keeps_last_logits(model) else {}
    output = model(
        input_ids=tokens,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        **extra,
    )
    logits: Tensor = output.logits[:, -1]
    return logits.float()


def shorten_cache(cache: Any, surplus: int) -> bool:
    """Drop the last `surplus` tokens; False where a layer cannot (a full sliding window)."""
    length = cache.get_seq_length() - surplus
    try:
        # transformers takes the number to drop as a negative one; a positive one raises.
        cache.crop(-surplus)
    except (RuntimeError, ValueError, NotImplementedError):
        return False
    return bool(cache.get_seq_length() == length)


def _keeps_last_logits(model: Any) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    # The class's own forward: an instance's may be wrapped by the scoring engine.
    return "logits_to_keep" in inspect.signature(type(inner).forward).parameters
