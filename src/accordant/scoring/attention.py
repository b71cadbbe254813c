"""Tree attention as a transformers attention implementation.

Knows the interface transformers calls attention through. With a `tree_layout` among the keyword
arguments a packed row is attended to as a tree; without one the model behaves as it did before
(generation, evaluation by other code). Three kernels give the same result: blocks on CPU,
FlexAttention on CUDA, scaled-dot-product attention with a boolean mask on anything else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from accordant.base.errors import UserError
from accordant.scoring.blocks import AttentionSettings, block_attention
from accordant.scoring.layout import TreeLayout

SDPA = "accordant_sdpa"
EAGER = "accordant_eager"

Kernel = Callable[[Tensor, Tensor, Tensor, TreeLayout, AttentionSettings], Tensor]


def dense_attention(
    query: Tensor, key: Tensor, value: Tensor, layout: TreeLayout, settings: AttentionSettings
) -> Tensor:
    """Compute tree attention with a dense bool mask; arguments and result as `block_attention`."""
    groups = query.shape[0] // key.shape[0]
    key, value = (states.repeat_interleave(groups, dim=0) for states in (key, value))
    mask = layout.mask(settings.window)
    if settings.softcap is None:
        output = nn.functional.scaled_dot_product_attention(
            query[None], key[None], value[None], attn_mask=mask, scale=settings.scaling
        )[0]
        return output.transpose(0, 1)
    dots = torch.bmm(query, key.transpose(1, 2)) * settings.scaling
    dots = settings.softcap * torch.tanh(dots / settings.softcap)
    probabilities = dots.masked_fill(~mask, float("-inf")).softmax(-1, dtype=torch.float32)
    return torch.bmm(probabilities.to(value.dtype), value).transpose(0, 1)


@cache
def _compiled_flex() -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    compiled: Callable[..., Tensor] = torch.compile(flex_attention, dynamic=True)
    return compiled


def flex_attention(
    query: Tensor, key: Tensor, value: Tensor, layout: TreeLayout, settings: AttentionSettings
) -> Tensor:
    """Compute tree attention by FlexAttention; arguments and result as `block_attention`."""
    if query.device.type == "cuda" and not torch.compiler.is_compiling():
        run = _compiled_flex()
    else:
        from torch.nn.attention.flex_attention import flex_attention as run

    # Compiled code would read a float from a tensor, which FlexAttention's kernels cannot; a string
    # is a constant of it.
    cap = repr(settings.softcap)

    def capped(score: Tensor, _b: Tensor, _h: Tensor, _q: Tensor, _k: Tensor) -> Tensor:
        return float(cap) * torch.tanh(score / float(cap))

    output: Tensor = run(
        query[None],
        key[None],
        value[None],
        score_mod=None if settings.softcap is None else capped,
        block_mask=layout.block_mask(settings.window),
        scale=settings.scaling,
        enable_gqa=query.shape[0] != key.shape[0],
    )
    return output[0].transpose(0, 1)


KERNELS: dict[str, Kernel] = {"cpu": block_attention, "cuda": flex_attention}

# Keyword arguments of an attention call that change its result and that no kernel here implements.
_UNKNOWN = ("s_aux", "position_bias", "sinks")


def _tree_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: TreeLayout,
    dropout: float,
    scaling: float | None,
    options: dict[str, Any],
) -> tuple[Tensor, None]:
    unknown = [name for name in _UNKNOWN if options.get(name) is not None]
    if unknown:
        raise UserError(
            f"{type(module).__name__} uses attention with {', '.join(unknown)}, "
            "which tree scoring does not implement.",
            mend="Call accordant.scoring.install(model), which has it scored without trees.",
        )
    if dropout:
        raise UserError(
            f"{type(module).__name__} asks for attention dropout {dropout}, and continuations "
            "that share a prompt cannot be dropped out independently.",
            mend="Call accordant.scoring.install(model), which switches dropout off.",
        )
    settings = AttentionSettings(
        scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
        window=options.get("sliding_window"),
        softcap=options.get("softcap"),
    )
    device = query.device.type
    if torch.is_autocast_enabled(device):
        # As autocast does for torch's own attention; the kernels then see one type, also in their
        # backward, which runs outside of autocast.
        dtype = torch.get_autocast_dtype(device)
        query, key, value = (states.to(dtype) for states in (query, key, value))
    kernel = KERNELS.get(device, dense_attention)
    with torch.autocast(device, enabled=False):
        return kernel(query[0], key[0], value[0], layout, settings)[None], None


def _sdpa(_module: nn.Module) -> Callable[..., Any]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    return sdpa_attention_forward


def _eager(module: nn.Module) -> Callable[..., Any]:
    # Every modelling file of transformers carries its own eager function.
    eager: Callable[..., Any] = sys.modules[type(module).__module__].eager_attention_forward
    return eager


def _attention_of(plain: Callable[[nn.Module], Callable[..., Any]]) -> Callable[..., Any]:
    """Return the attention of trees, and what `plain` finds for calls without any."""

    def forward(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        tree_layout: TreeLayout | None = None,
        **options: Any,
    ) -> Any:
        if tree_layout is not None:
            return _tree_forward(module, query, key, value, tree_layout, dropout, scaling, options)
        options |= {"dropout": dropout, "scaling": scaling}
        return plain(module)(module, query, key, value, attention_mask, **options)

    return forward


@cache
def register_kernels() -> None:
    """Make the two implementations known to transformers, with the masks of what they stand for."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    for name, plain, kind in ((SDPA, _sdpa, "sdpa"), (EAGER, _eager, "eager")):
        AttentionInterface.register(name, _attention_of(plain))
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[kind])
