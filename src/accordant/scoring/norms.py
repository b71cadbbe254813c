"""RMS normalisation in fewer passes over memory, with a backward of its own.

Written out in tensor operations, as transformers has it, a norm on its own takes up to three times
as long, most of it in autograd's backward pass, and keeps float32 copies; over the 61 norms of a
model of 30 layers that is 2 % of a step (dev/LOG.md). Knows modules that compute

    y = x / sqrt(mean(x^2) + eps),  out = w * y
    dw = sum(g * y),  dx = (w * g - y * mean(w * g * y)) / sqrt(mean(x^2) + eps)

and nothing of layers' meaning, losses or scores. Source: Zhang and Sennrich 2019, equation 4.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from accordant.models.hooks import backbone_of, decoder_layers


class _RmsNorm(torch.autograd.Function):
    """w * x / rms(x); statistics are float32, products have the type of what is multiplied."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, eps: float) -> Tensor:
        """Take states `[..., width]`, weight `[width]`; the result has their common type."""
        wide = states.float()
        square = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_()
        scale = square.div_(states.shape[-1]).add_(eps).rsqrt_()
        normed = (wide * scale).to(states.dtype)
        ctx.save_for_backward(normed, weight, scale)
        return normed * weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Take the gradient of the result `[..., width]` back to states and weight."""
        normed, weight, scale = ctx.saved_tensors
        need_states, need_weight, _ = ctx.needs_input_grad
        gradient = gradients[0]
        d_states = d_weight = None
        if need_weight:
            each = (gradient * normed).flatten(0, -2)
            d_weight = each.sum(0, dtype=torch.float32).to(weight.dtype)
        if need_states:
            weighted = gradient * weight
            inner = (weighted * normed).sum(-1, keepdim=True, dtype=torch.float32)
            inner /= normed.shape[-1]
            change = torch.addcmul(weighted.float(), normed.float(), inner, value=-1)
            d_states = change.mul_(scale).to(normed.dtype)
        return d_states, d_weight, None


def rms_norm(states: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Compute `weight * states / sqrt(mean(states^2) + eps)` over the last dimension.

    Args:
        states: `[..., width]`.
        weight: `[width]`.
        eps: at least 0; added to the mean square.

    Returns:
        `[..., width]`, of the common type of `states` and `weight`, differentiable in both.
    """
    result: Tensor = _RmsNorm.apply(states, weight, eps)
    return result


def quicken_norms(base: Any) -> None:
    """Let the norms of a transformers model run as `rms_norm` in packed rows.

    Calls without a `tree_layout`, and norms that compute something else (Gemma's `1 + w`, layer
    norms), are left as they are.
    """
    backbone, layers = backbone_of(base), decoder_layers(base)
    for norm in _norms(backbone):
        if not hasattr(norm, "_packed") and _computes_rms(norm):
            norm._packed = False  # type: ignore[assignment]
            norm.forward = types.MethodType(_forward, norm)
    # A layer tells its own norms, and tells them again when it is recomputed in a backward pass.
    for owner in (backbone, *layers):
        norms = tuple(norm for norm in _norms(owner) if hasattr(norm, "_packed"))
        if norms and not hasattr(owner, "_quick_norms"):
            owner._quick_norms = norms
            owner.register_forward_pre_hook(_tell_norms, with_kwargs=True)


def _norms(owner: nn.Module) -> Iterator[nn.Module]:
    return (module for module in owner.modules() if type(module).__name__.endswith("RMSNorm"))


def _epsilon(norm: Any) -> float | None:
    found = getattr(norm, "variance_epsilon", getattr(norm, "eps", None))
    return float(found) if isinstance(found, float) else None


@torch.no_grad()
def _computes_rms(norm: Any) -> bool:
    """Tell whether a norm does as `rms_norm`, seen on a few random states of its type."""
    weight, eps = getattr(norm, "weight", None), _epsilon(norm)
    if not isinstance(weight, Tensor) or weight.dim() != 1 or weight.is_meta or eps is None:
        return False
    if "forward" in vars(norm) or len(list(norm.parameters())) != 1:
        return False
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(4, weight.shape[0], generator=generator).to(weight)
    try:
        theirs = norm(states)
    except (TypeError, RuntimeError):
        # It wants more than states, or its weight is sharded already.
        return False
    # Two units in the last place: the mean square is summed in another order.
    tolerance = 4 * torch.finfo(weight.dtype).eps
    return torch.allclose(theirs, rms_norm(states, weight, eps), rtol=tolerance, atol=tolerance)


def _tell_norms(owner: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    packed = kwargs.get("tree_layout") is not None
    for norm in owner._quick_norms:
        norm._packed = packed


def _forward(self: Any, states: Tensor, *args: Any, **kwargs: Any) -> Any:
    # Compiled, the written-out norm joins what stands before and behind it, which is quicker still.
    if self._packed and not args and not kwargs and not torch.compiler.is_compiling():
        return rms_norm(states, self.weight, _epsilon(self) or 0.0)
    return type(self).forward(self, states, *args, **kwargs)
