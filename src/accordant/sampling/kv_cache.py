"""Key-value caches for decoding: made, filled, advanced and narrowed to the rows still running.

Knows token ids, padding on the left and transformers' cache interface. Knows nothing of sampling or
text.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
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
    """An empty cache of the kind the model's layers ask for (sliding windows kept as they are)."""
    cache = DynamicCache(config=model.config)
    cache.layers = [GrowingLayer() if type(x) is DynamicLayer else x for x in cache.layers]
    return cache


@dataclass(slots=True)
class Running:
    """A batch in the middle of decoding.

    Args:
        cache: keys and values of all tokens fed so far.
        mask: 1 for tokens, 0 for padding on the left, int64 `[rows, length]`; None without padding.
        positions: position id of the next token of every row, int64 `[rows]`.
        logits: for the next token of every row, float32 `[rows, vocabulary]`.
    """

    cache: DynamicCache
    mask: Tensor | None
    positions: Tensor
    logits: Tensor


def prefill(model: nn.Module, prompts: Sequence[Sequence[int]], copies: int) -> Running:
    """Feed prompts once and repeat each `copies` times in the batch, prompt by prompt."""
    device = next(model.parameters()).device
    longest = max(map(len, prompts))
    tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    tokens, mask = tokens.to(device), mask.to(device)
    padded = bool((mask == 0).any())
    cache = new_cache(model)
    logits = _forward(
        model,
        tokens,
        mask if padded else None,
        (mask.cumsum(1) - 1).clamp(min=0),
        cache,
    )
    positions = mask.sum(1)
    if copies > 1:
        cache.batch_repeat_interleave(copies)
        logits, positions, mask = (
            x.repeat_interleave(copies, dim=0) for x in (logits, positions, mask)
        )
    return Running(cache, mask if padded else None, positions, logits)


def advance(model: nn.Module, running: Running, tokens: Tensor) -> None:
    """Feed the chosen `tokens`, int64 `[rows]`, and replace `running.logits` by the next ones."""
    if running.mask is not None:
        running.mask = torch.cat([running.mask, running.mask.new_ones(len(tokens), 1)], dim=1)
    running.logits = _forward(
        model, tokens[:, None], running.mask, running.positions[:, None], running.cache
    )
    running.positions = running.positions + 1


def feed(model: nn.Module, tokens: Sequence[int], start: int, cache: DynamicCache) -> Tensor:
    """Feed one sequence's next `tokens`, the first at position `start`, into its cache.

    Returns:
        float32 logits of the token after them, `[1, vocabulary]`.
    """
    device = next(model.parameters()).device
    ids = torch.tensor([list(tokens)], device=device)
    positions = torch.arange(start, start + len(tokens), device=device)[None]
    return _forward(model, ids, None, positions, cache)


def keep_rows(running: Running, rows: Tensor) -> None:
    """Drop all rows of the batch but `rows`, int64 `[kept]`, in increasing order."""
    running.cache.batch_select_indices(rows)
    running.positions = running.positions[rows]
    running.logits = running.logits[rows]
    if running.mask is not None:
        running.mask = running.mask[rows]


def _forward(
    model: nn.Module, tokens: Tensor, mask: Tensor | None, positions: Tensor, cache: DynamicCache
) -> Tensor:
    """Float32 logits after the last token of every row, `[rows, vocabulary]`."""
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


def _keeps_last_logits(model: Any) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    # The class's own forward: an instance's may be wrapped by the scoring engine.
    return "logits_to_keep" in inspect.signature(type(inner).forward).parameters
