"""Exact tree attention by blocks, for processors without a block-sparse kernel.

Knows queries, keys, values and a `TreeLayout`. Nothing masked is computed but the diagonal of
each block; probabilities are recomputed in the backward pass, so memory grows with tokens, not with
their square. Grouped queries share one matrix product per key head, without repeating keys.

    P = softmax(scale * Q K^T + mask),  O = P V
    dV = P^T dO,  dS = P * (dO V^T - rowsum(dO * O)),  dQ = scale * dS K,  dK = scale * dS^T Q
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from accordant.scoring.layout import Block, TreeLayout


@dataclass(frozen=True, slots=True)
class AttentionSettings:
    """What a layer asks of its attention.

    Args:
        scaling: factor on the dot products.
        window: keys at least this many positions back are hidden; None for no window.
        softcap: dot products become `softcap * tanh(dot / softcap)`; None for none.
    """

    scaling: float
    window: int | None = None
    softcap: float | None = None


def _gather(states: Tensor, runs: tuple[tuple[int, int], ...]) -> Tensor:
    """Gather key or value states `[heads, tokens, dim]` of `runs`, `[heads, keys, dim]`."""
    if len(runs) == 1:
        return states[:, runs[0][0] : runs[0][1]]
    return torch.cat([states[:, start:end] for start, end in runs], dim=1)


def _grouped(states: Tensor, block: Block, key_heads: int) -> Tensor:
    """Return a block of `[heads, tokens, dim]` as `[key_heads, groups * queries, dim]`."""
    part = states[:, block.start : block.end]
    return part.reshape(key_heads, -1, part.shape[-1])


def _hidden(layout: TreeLayout, block: Block, settings: AttentionSettings) -> Tensor | None:
    """Return a block's masked keys beyond the diagonal, bool `[queries, keys]`, or None."""
    if settings.window is None:
        return None
    keys = torch.cat([layout.positions[start:end] for start, end in block.keys])
    queries = layout.positions[block.start : block.end]
    hidden = queries[:, None] - keys[None, :] >= settings.window
    return hidden if bool(hidden.any()) else None


@lru_cache(maxsize=1024)
def _unseen(parts: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return minus infinity where a query of a block does not see another, `[count, count]`.

    Each part sees itself causally and no other part; adding this is quicker than filling.
    """
    own = torch.block_diag(*(torch.ones(n, n, device=device).tril() for n in parts)).bool()
    unseen = torch.zeros(own.shape, dtype=dtype, device=device)
    return unseen.masked_fill_(~own, float("-inf"))


def _probabilities(
    query: Tensor, key: Tensor, block: Block, hidden: Tensor | None, softcap: float | None
) -> tuple[Tensor, Tensor | None]:
    """Return attention probabilities of a block and, with a softcap, its tanh.

    Args:
        query: scaled queries `[key_heads, groups * queries, dim]`.
        key: `[key_heads, keys, dim]`.
        hidden: further masked keys, bool `[queries, keys]`.

    Returns:
        probabilities `[key_heads, groups * queries, keys]`; the softmax accumulates in float32.
    """
    dots = torch.bmm(query, key.transpose(1, 2))
    bent = None
    if softcap is not None:
        bent = torch.tanh(dots / softcap)
        dots = bent * softcap
    count = block.end - block.start
    view = dots.view(dots.shape[0], -1, count, dots.shape[-1])
    view[..., -count:].add_(_unseen(block.parts, dots.dtype, dots.device))
    if hidden is not None:
        view.masked_fill_(hidden, float("-inf"))
    return torch.softmax(dots, dim=-1), bent


class _BlockAttention(torch.autograd.Function):
    """softmax(Q K^T) V over the blocks of a layout, with its own backward."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        layout: TreeLayout,
        settings: AttentionSettings,
    ) -> Tensor:
        """Take queries `[heads, tokens, dim]`, keys and values `[key_heads, tokens, dim]`."""
        query = query * settings.scaling
        heads, tokens, _ = query.shape
        output = value.new_empty(tokens, heads, value.shape[-1])
        for block in layout.blocks:
            p, _ = _probabilities(
                _grouped(query, block, key.shape[0]),
                _gather(key, block.keys),
                block,
                _hidden(layout, block, settings),
                settings.softcap,
            )
            mixed = torch.bmm(p, _gather(value, block.keys))
            mixed = mixed.view(heads, block.end - block.start, -1)
            output[block.start : block.end] = mixed.transpose(0, 1)
        ctx.save_for_backward(query, key, value, output)
        ctx.layout, ctx.settings = layout, settings
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Take the output's gradient `[tokens, heads, dim]` back to queries, keys and values."""
        query, key, value, output = ctx.saved_tensors
        layout, settings = ctx.layout, ctx.settings
        heads = query.shape[0]
        gradient = gradients[0].transpose(0, 1)
        inner = (gradient * output.transpose(0, 1)).sum(-1, dtype=torch.float32).to(key.dtype)
        d_query = torch.empty_like(query)
        # Several blocks add to the same key, so those sums are kept in float32.
        d_key = torch.zeros_like(key, dtype=torch.float32)
        d_value = torch.zeros_like(value, dtype=torch.float32)
        for block in layout.blocks:
            groups = _grouped(query, block, key.shape[0])
            keys, values = _gather(key, block.keys), _gather(value, block.keys)
            hidden = _hidden(layout, block, settings)
            p, bent = _probabilities(groups, keys, block, hidden, settings.softcap)
            d_out = _grouped(gradient, block, key.shape[0])
            _scatter(d_value, torch.bmm(p.transpose(1, 2), d_out), block)
            d_dots = torch.bmm(d_out, values.transpose(1, 2))
            d_dots.sub_(_grouped(inner[..., None], block, key.shape[0])).mul_(p)
            if bent is not None:
                d_dots.mul_(1 - bent * bent)
            d_block = torch.bmm(d_dots, keys).view(heads, block.end - block.start, -1)
            d_query[:, block.start : block.end] = d_block
            _scatter(d_key, torch.bmm(d_dots.transpose(1, 2), groups), block)
        d_query *= settings.scaling
        return d_query, d_key.to(key.dtype), d_value.to(value.dtype), None, None


def _scatter(total: Tensor, part: Tensor, block: Block) -> None:
    """Add `part` `[key_heads, keys, dim]` to the keys of a block in `total` (in place)."""
    at = 0
    for start, end in block.keys:
        total[:, start:end] += part[:, at : at + end - start]
        at += end - start


def block_attention(
    query: Tensor, key: Tensor, value: Tensor, layout: TreeLayout, settings: AttentionSettings
) -> Tensor:
    """Compute tree attention over one packed row.

    Args:
        query: `[heads, tokens, dim]`.
        key, value: `[key_heads, tokens, dim]`; `heads` is a multiple of `key_heads`, and query head
            `i` uses key head `i // (heads / key_heads)`.

    Returns:
        `[tokens, heads, dim]`, in the dtype of `value`.
    """
    output: Tensor = _BlockAttention.apply(query, key, value, layout, settings)
    return output
