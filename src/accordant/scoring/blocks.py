"""Exact tree attention by blocks, for processors without a block-sparse kernel.

Knows queries, keys, values and who sees whom. Nothing masked is computed but within a block;
probabilities are recomputed in the backward pass, so memory grows with tokens, not with their
square. Grouped queries share one matrix product per key head, without repeating keys.

    P = softmax(scale * Q K^T + mask),  O = P V
    dV = P^T dO,  dS = P * (dO V^T - rowsum(dO * O)),  dQ = scale * dS K,  dK = scale * dS^T Q
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from accordant.scoring.layout import BlockPlan, Runs, TreeLayout, block_plans


class AttentionSettings(NamedTuple):
    """What a layer asks of its attention.

    Args:
        scaling: factor on the dot products.
        window: keys at least this many positions back are hidden; None for no window.
        softcap: dot products become `softcap * tanh(dot / softcap)`; None for none.
    """

    scaling: float
    window: int | None = None
    softcap: float | None = None


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
    output: Tensor = _attend(query, key, value, layout.end, layout.positions, *settings)
    return output


# An operator, so that compiled layers hold it as one call instead of breaking off at it. It takes
# the layout as tensors: an object would be a constant of the compiled code.
@torch.library.custom_op("accordant::tree_attention", mutates_args=())
def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    end: Tensor,
    positions: Tensor,
    scaling: float,
    window: int | None = None,
    softcap: float | None = None,
) -> Tensor:
    query = query * scaling
    heads, tokens, _ = query.shape
    output = value.new_empty(tokens, heads, value.shape[-1])
    for plan in block_plans(end, positions, window, query.dtype):
        groups = _grouped(query, plan, key.shape[0])
        p, _ = _probabilities(groups, _gather(key, plan.keys), plan, softcap)
        mixed = torch.bmm(p, _gather(value, plan.keys))
        output[plan.start : plan.end] = mixed.view(heads, plan.end - plan.start, -1).transpose(0, 1)
    return output


@torch.library.custom_op("accordant::tree_attention_backward", mutates_args=())
def _attend_backward(
    gradient: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    end: Tensor,
    positions: Tensor,
    scaling: float,
    window: int | None = None,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    query = query * scaling
    heads, key_heads = query.shape[0], key.shape[0]
    gradient = gradient.transpose(0, 1)
    inner = (gradient * output.transpose(0, 1)).sum(-1, dtype=torch.float32).to(key.dtype)
    d_query = torch.empty_like(query)
    # Several blocks add to the same key, so those sums are kept in float32.
    d_key = torch.zeros_like(key, dtype=torch.float32)
    d_value = torch.zeros_like(value, dtype=torch.float32)
    for plan in block_plans(end, positions, window, query.dtype):
        groups = _grouped(query, plan, key_heads)
        keys, values = _gather(key, plan.keys), _gather(value, plan.keys)
        p, bent = _probabilities(groups, keys, plan, softcap)
        d_out = _grouped(gradient, plan, key_heads)
        _scatter(d_value, torch.bmm(p.transpose(1, 2), d_out), plan.keys)
        d_dots = torch.bmm(d_out, values.transpose(1, 2))
        d_dots.sub_(_grouped(inner[..., None], plan, key_heads)).mul_(p)
        if bent is not None:
            d_dots.mul_(1 - bent * bent)
        d_block = torch.bmm(d_dots, keys).view(heads, plan.end - plan.start, -1)
        d_query[:, plan.start : plan.end] = d_block
        _scatter(d_key, torch.bmm(d_dots.transpose(1, 2), groups), plan.keys)
    d_query *= scaling
    return d_query, d_key.to(key.dtype), d_value.to(value.dtype)


@_attend.register_fake
def _(query: Tensor, _key: Tensor, value: Tensor, *_: Any) -> Tensor:
    return value.new_empty(query.shape[1], query.shape[0], value.shape[-1])


@_attend_backward.register_fake
def _(
    _gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    query, key, value, end, positions, *ctx.settings = inputs
    ctx.save_for_backward(query, key, value, output, end, positions)


def _go_back(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    changes = _attend_backward(gradient, *ctx.saved_tensors, *ctx.settings)
    return *changes, None, None, None, None, None


_attend.register_autograd(_go_back, setup_context=_keep)


def _gather(states: Tensor, runs: Runs) -> Tensor:
    """Gather key or value states `[heads, tokens, dim]` of `runs`, `[heads, keys, dim]`."""
    if len(runs) == 1:
        return states[:, runs[0][0] : runs[0][1]]
    return torch.cat([states[:, start:end] for start, end in runs], dim=1)


def _scatter(total: Tensor, part: Tensor, runs: Runs) -> None:
    """Add `part` `[key_heads, keys, dim]` to the keys of `runs` in `total` (in place)."""
    at = 0
    for start, end in runs:
        total[:, start:end] += part[:, at : at + end - start]
        at += end - start


def _grouped(states: Tensor, plan: BlockPlan, key_heads: int) -> Tensor:
    """Return a block of `[heads, tokens, dim]` as `[key_heads, groups * queries, dim]`."""
    part = states[:, plan.start : plan.end]
    return part.reshape(key_heads, -1, part.shape[-1])


def _probabilities(
    query: Tensor, key: Tensor, plan: BlockPlan, softcap: float | None
) -> tuple[Tensor, Tensor | None]:
    """Return attention probabilities of a block and, with a softcap, its tanh.

    Args:
        query: scaled queries `[key_heads, groups * queries, dim]`.
        key: `[key_heads, keys, dim]`.

    Returns:
        probabilities `[key_heads, groups * queries, keys]`; the softmax accumulates in float32.
    """
    dots = torch.bmm(query, key.transpose(1, 2))
    bent = None
    if softcap is not None:
        bent = torch.tanh(dots / softcap)
        dots = bent * softcap
    queries, masked = plan.unseen.shape
    # Adding minus infinity is quicker than filling.
    dots.view(dots.shape[0], -1, queries, dots.shape[-1])[..., -masked:].add_(plan.unseen)
    return torch.softmax(dots, dim=-1), bent
