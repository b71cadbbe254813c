"""The language-model head, run only where a continuation token is predicted, in chunks.

Knows hidden states, head weights and target ids. Logits of one chunk exist at a time; they are
recomputed in the backward pass. Reductions are float32.

    logp(y) = log softmax(z)_y,  z = cap(scale * (h W^T + b))
    d logp / d z = onehot(y) - softmax(z)
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

# Logits are handled in chunks of at least about this many elements (tokens x vocabulary). In bf16 a
# chunk takes 64 MiB; much smaller chunks spend their time adding up the weight gradient.
CHUNK_ELEMENTS = 1 << 25
# Matrix products of this many rows, or a multiple, run at full rate; one of 682 rows of 49,152
# columns runs at three quarters of it (dev/LOG.md).
TILE = 16
# Within a chunk, on a processor, float32 copies exist for about this many elements, small enough
# for its caches. A GPU takes whole chunks, and its kernels make no copies.
PIECE_ELEMENTS = 1 << 20


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """What a family does to its logits, and what is asked of them.

    Args:
        scale: factor on the logits (Cohere, Granite).
        softcap: logits become `softcap * tanh(logits / softcap)` (Gemma 2); None for none.
        entropy: whether the entropy of every predicted distribution is wanted.
        top_k: tokens whose summed probability, and entropy, is wanted; 0 for none.
        chunk: tokens handled at a time; 0 chooses by vocabulary size.
    """

    scale: float = 1.0
    softcap: float | None = None
    entropy: bool = False
    top_k: int = 0
    chunk: int = 0


class HeadOutput(NamedTuple):
    """Per-token results, float32 `[tokens]`; none but `logps` carries a gradient."""

    logps: Tensor
    entropy: Tensor | None
    top_mass: Tensor | None
    top_entropy: Tensor | None


def chunk_elements(device: torch.device) -> int:
    """Return how many logits exist at a time: of a GPU's memory about a hundredth in bf16."""
    if device.type != "cuda":
        return CHUNK_ELEMENTS
    return max(CHUNK_ELEMENTS, torch.cuda.get_device_properties(device).total_memory // 256)


def _chunk_size(settings: HeadSettings, vocabulary: int, device: torch.device) -> int:
    return settings.chunk or max(1, chunk_elements(device) // vocabulary // TILE) * TILE


def fuses(device: torch.device) -> bool:
    """Tell whether what follows the head's product is compiled to kernels of its own."""
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


@cache
def _fused(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function)


def _any_rows(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Tell the compiler that rows vary in number, while the vocabulary does not."""
    for array in arrays:
        torch._dynamo.maybe_mark_dynamic(array, 0)
    return arrays


def _pieces(logits: Tensor) -> list[slice]:
    rows = max(1, PIECE_ELEMENTS // logits.shape[1])
    return [slice(start, start + rows) for start in range(0, logits.shape[0], rows)]


def bend(logits: Tensor, settings: HeadSettings) -> Tensor:
    """Return the family's final logits in float32."""
    logits = logits.float()
    if settings.scale != 1.0:
        logits = logits * settings.scale
    if settings.softcap is not None:
        logits = settings.softcap * torch.tanh(logits / settings.softcap)
    return logits


def _reduce(logits: Tensor, targets: Tensor, settings: HeadSettings) -> tuple[Tensor, ...]:
    """Reduce raw logits `[tokens, vocab]` to log-probs and the wanted extras."""
    # torch's fused kernel takes 0.4 of the time of logsumexp and a subtraction.
    everything = torch.log_softmax(bend(logits, settings), dim=-1)
    logps = everything.gather(1, targets[:, None])[:, 0]
    return (logps, *_extras(everything.detach(), settings))


def _reduce_chunk(
    logits: Tensor, targets: Tensor, settings: HeadSettings
) -> list[tuple[Tensor, ...]]:
    if fuses(logits.device):
        return [_fused(_reduce)(*_any_rows(logits, targets), settings)]
    return [_reduce(logits[part], targets[part], settings) for part in _pieces(logits)]


def _extras(everything: Tensor, settings: HeadSettings) -> list[Tensor]:
    """Return the wanted ones of entropy, top-k mass and top-k entropy, from all log-probs."""
    if not (settings.entropy or settings.top_k):
        return []
    extras = []
    probabilities = everything.exp()
    if settings.entropy:
        # 0 * -inf is nan where a model masks a token out; such a term contributes nothing.
        extras.append(-(probabilities * everything).nan_to_num_(nan=0.0).sum(-1))
    if settings.top_k:
        likely = probabilities.topk(settings.top_k, dim=-1).values
        extras += [likely.sum(-1), torch.special.entr(likely).sum(-1)]
    return extras


def _slope(settings: HeadSettings, bent: Tensor) -> Tensor | float | None:
    """Return d bent / d raw logits; None where it is 1."""
    if settings.softcap is None:
        return None if settings.scale == 1.0 else settings.scale
    return settings.scale * (1 - (bent / settings.softcap).square())


def _d_logits(
    logits: Tensor, targets: Tensor, gradient: Tensor, settings: HeadSettings, *, keep: bool
) -> Tensor:
    """Return `gradient * d logp / d logits` `[tokens, vocab]`, in place of the logits if not kept.

    Args:
        logits: of a chunk, `[tokens, vocab]`.
        targets: int64 `[tokens]`.
        gradient: of the log-probs, float32 `[tokens]`.
        keep: whether the logits are to stay as they are.
    """
    if fuses(logits.device):
        gradients: Tensor = _fused(_change)(*_any_rows(logits, targets, gradient), settings)
        return gradients
    out = torch.empty_like(logits) if keep else logits
    for part in _pieces(logits):
        bent = bend(logits[part], settings)
        slope = _slope(settings, bent)
        change = torch.softmax(bent, dim=-1)
        change *= -gradient[part, None]
        index = torch.arange(change.shape[0], device=change.device)
        change[index, targets[part]] += gradient[part]
        out[part] = change if slope is None else change * slope
    return out


def _change(logits: Tensor, targets: Tensor, gradient: Tensor, settings: HeadSettings) -> Tensor:
    """Compute the same in one expression: one kernel when compiled, many passes when not."""
    bent = bend(logits, settings)
    slope = _slope(settings, bent)
    is_target = torch.arange(bent.shape[1], device=bent.device) == targets[:, None]
    change = (is_target.float() - torch.softmax(bent, dim=-1)) * gradient[:, None]
    return (change if slope is None else change * slope).to(logits.dtype)


class _ChunkedLogps(torch.autograd.Function):
    """Log-probs of targets from hidden states through a linear head, with its own backward."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        settings: HeadSettings,
    ) -> tuple[Tensor, ...]:
        """Take states `[tokens, width]`, weight `[vocab, width]`, targets int64 `[tokens]`."""
        size = _chunk_size(settings, weight.shape[0], weight.device)
        pieces = []
        for start in range(0, hidden.shape[0], size):
            logits = nn.functional.linear(hidden[start : start + size], weight, bias)
            pieces += _reduce_chunk(logits, targets[start : start + size], settings)
        logps, *extras = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        # The backward pass begins with the last chunk and would compute its logits at once, so
        # they are kept: for a step of one chunk that spares one of the head's five products.
        ctx.save_for_backward(hidden, weight, bias, targets, logits)
        ctx.settings = settings
        ctx.mark_non_differentiable(*extras)
        return (logps, *extras)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Take the gradient of the log-probs `[tokens]` back to hidden states, weight and bias."""
        hidden, weight, bias, targets, kept = ctx.saved_tensors
        need_hidden, need_weight, need_bias, *_ = ctx.needs_input_grad
        d_hidden = torch.empty_like(hidden) if need_hidden else None
        d_weight = torch.empty_like(weight) if need_weight else None
        d_bias = torch.zeros_like(bias, dtype=torch.float32) if need_bias else None
        size = _chunk_size(ctx.settings, weight.shape[0], weight.device)
        starts = range(0, hidden.shape[0], size)
        for start in reversed(starts):
            part = slice(start, start + size)
            is_kept = start == starts[-1]
            logits = kept if is_kept else nn.functional.linear(hidden[part], weight, bias)
            # A graph that is kept is walked again: what was saved stays as it is.
            wanted, gradient = targets[part], gradients[0][part]
            change = _d_logits(logits, wanted, gradient, ctx.settings, keep=is_kept)
            if d_hidden is not None:
                torch.mm(change, weight, out=d_hidden[part])
            if d_weight is not None:
                # beta 0 overwrites what the empty array holds.
                d_weight.addmm_(change.t(), hidden[part], beta=0 if is_kept else 1)
            if d_bias is not None:
                d_bias += change.sum(0, dtype=torch.float32)
            del logits, change
        d_bias = None if d_bias is None else d_bias.to(bias.dtype)
        return d_hidden, d_weight, d_bias, None, None


def _output(logps: Tensor, extras: list[Tensor], settings: HeadSettings) -> HeadOutput:
    entropy = extras.pop(0) if settings.entropy else None
    top_mass, top_entropy = extras if settings.top_k else (None, None)
    return HeadOutput(logps, entropy, top_mass, top_entropy)


def chunked_logps(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    settings: HeadSettings,
) -> HeadOutput:
    """Compute log-probabilities of `targets`, differentiable in `hidden`, `weight` and `bias`.

    Args:
        hidden: hidden states that predict each target, `[tokens, width]`.
        weight: `[vocab, width]`, same dtype as `hidden`.
        bias: `[vocab]` or None.
        targets: token ids, int64 `[tokens]`.

    Returns:
        `HeadOutput` of float32 `[tokens]`.
    """
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        # The backward pass recomputes logits outside of autocast, and must get the same ones.
        dtype = torch.get_autocast_dtype(device)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    count = targets.shape[0]
    spare = -count % TILE
    hidden = nn.functional.pad(hidden, (0, 0, 0, spare))
    targets = nn.functional.pad(targets, (0, spare))
    with torch.autocast(device, enabled=False):
        found = _ChunkedLogps.apply(hidden, weight, bias, targets, settings)
    logps, *extras = (values[:count] for values in found)
    return _output(logps, extras, settings)


def module_logps(
    head: nn.Module, hidden: Tensor, targets: Tensor, settings: HeadSettings
) -> HeadOutput:
    """Compute the same for a head that is no plain linear layer (an adapter on it, say).

    Runs the module chunk by chunk under activation checkpointing, so its own backward is used.
    """
    from torch.utils.checkpoint import checkpoint

    def run(part: Tensor, wanted: Tensor) -> tuple[Tensor, ...]:
        return _reduce(head(part), wanted, settings)

    size = max(16, _chunk_size(settings, 50_000, hidden.device) // 4)
    pieces = [
        checkpoint(run, hidden[at : at + size], targets[at : at + size], use_reentrant=False)
        for at in range(0, hidden.shape[0], size)
    ]
    logps, *extras = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    return _output(logps, extras, settings)
