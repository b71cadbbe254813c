"""From logits to one token per row: warped distributions and noise that counts.

Knows logits and where in which sequence they are, so that what a sequence draws does not depend on
its neighbours in the batch. Knows nothing of models, caches or text.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.sampling.samples import SamplingOptions

# Tokens looked at first for top-p; the whole vocabulary is sorted only where they fall short.
CANDIDATES = 256

# Numbers that noise is made of at once on a processor: as many as its second cache holds.
NEAR = 1 << 18

# Noise is hashed in 31 bits: torch shifts signed numbers, and a sign would be smeared.
BITS = 0x7FFFFFFF


def sequence_key(seed: int, prompt: Sequence[int], ordinal: int) -> tuple[int, int]:
    """Return two numbers of 31 bits that all noise of one sequence is made of.

    Args:
        seed: the run's seed.
        prompt: its prompt's token ids.
        ordinal: which of the samples of this very prompt it is, from 0.
    """
    text = f"{seed} {ordinal} " + " ".join(map(str, prompt))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    first, second = (int.from_bytes(part, "little") & BITS for part in (digest[:4], digest[4:]))
    return first, second


def log_probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probability of `tokens` `[rows]` under softmax(logits), float32 `[rows]`."""
    chosen = logits.gather(1, tokens[:, None]).squeeze(1)
    return chosen - logits.logsumexp(1)


def choose_tokens(
    logits: Tensor,
    options: SamplingOptions,
    keys: Tensor,
    written: Tensor,
    seen: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Choose the next token of every row.

    Args:
        logits: float32 `[rows, vocabulary]`.
        options: how to sample.
        keys: of every row's sequence, int32 `[rows, 2]`.
        written: tokens it has drawn before, int64 `[rows]`.
        seen: which tokens a row holds already, bool `[rows, vocabulary]`; needed where repetition
            is penalised.

    Returns:
        token ids, int64 `[rows]`, and the logits of the distribution they were drawn from,
        `[rows, vocabulary]`: the very tensor `logits` where nothing bends it.
    """
    if options.logit_bias:
        bias = _bias(options.logit_bias, logits.shape[1], logits.device)
        logits = logits + bias
    if seen is not None:
        logits = penalise_repetition(logits, seen, options.repetition_penalty)
    if options.temperature == 0:
        return logits.argmax(1), logits
    warped = warp(logits, options.temperature, options.top_k, options.top_p, options.min_p)
    return gumbel_argmax(warped, keys, written), warped


@cache
def _bias(bias: tuple[tuple[int, float], ...], vocabulary: int, device: torch.device) -> Tensor:
    # Kept: a captured graph goes on reading it.
    tokens, values = zip(*bias, strict=True)
    return (
        torch.zeros(vocabulary).scatter_(0, torch.tensor(tokens), torch.tensor(values)).to(device)
    )


def penalise_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make tokens that were seen less likely (Keskar et al. 2019, section 4.1).

    Args:
        logits: float32 `[rows, vocabulary]`.
        seen: bool `[rows, vocabulary]`.
        penalty: above 1 against repetition, below 1 for it.
    """
    # The sign decides, as in transformers: dividing a negative logit would raise it.
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def warp(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> Tensor:
    """Return logits of the distribution that is sampled from, float32 `[rows, vocabulary]`.

    Temperature first, then the `top_k` most likely tokens, then the smallest set of the most likely
    tokens that holds `top_p` of the remaining mass, then those at least `min_p` times as likely as
    the most likely one (Nguyen et al. 2024); the others get minus infinity.
    """
    if temperature != 1:
        logits = logits / temperature
    if 0 < top_k < logits.shape[1]:
        limit = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < limit, -torch.inf)
    if top_p < 1:
        logits = logits.masked_fill(logits < _nucleus_limit(logits, top_p), -torch.inf)
    if min_p > 0:
        limit = logits.amax(1, keepdim=True) + math.log(min_p)
        logits = logits.masked_fill(logits < limit, -torch.inf)
    return logits


def _nucleus_limit(logits: Tensor, top_p: float) -> Tensor:
    """Return the smallest logit inside the nucleus (Holtzman et al. 2020, eq. 2), `[rows, 1]`."""
    total = logits.logsumexp(1, keepdim=True)
    best = logits.topk(min(CANDIDATES, logits.shape[1])).values
    # Only a processor may look whether they do: a device would have to be waited for.
    if logits.device.type != "cpu" or bool(((best - total).exp().sum(1) < top_p).any()):
        best = logits.sort(descending=True).values
    mass = (best - total).exp().cumsum(1)
    # A token belongs to the nucleus if the mass before it is below top_p.
    inside = (mass - (best - total).exp() < top_p).sum(1, keepdim=True).clamp(min=1)
    return best.gather(1, inside - 1)


def gumbel_argmax(logits: Tensor, keys: Tensor, written: Tensor) -> Tensor:
    """Sample one token per row from softmax(logits): argmax of logits plus Gumbel noise.

    A row's noise is a function of its key, the place and the token alone (Gumbel-max; Maddison et
    al. 2014). Unlike inversion of the cumulative sum, a rounding difference in one logit can change
    the draw only where that logit competes for the maximum.

    Args:
        logits: float32 `[rows, vocabulary]`; minus infinity excludes a token.
        keys: int32 `[rows, 2]`.
        written: places, int64 `[rows]`.

    Returns:
        token ids, int64 `[rows]`.
    """
    size = len(logits) if logits.device.type != "cpu" else max(1, NEAR // logits.shape[1])
    lots = zip(logits.split(size), keys.split(size), written.split(size), strict=True)
    return torch.cat([(_gumbel(*lot[1:], len(lot[0].T)).add_(lot[0])).argmax(1) for lot in lots])


def _gumbel(keys: Tensor, written: Tensor, vocabulary: int) -> Tensor:
    """Return standard Gumbel noise, float32 `[rows, vocabulary]`."""
    first = _stir(keys[:, 0] ^ (written.int() + 1) * 0x2545F491 & BITS, 0x45D9F3B)
    second = _stir(keys[:, 1] ^ first, 0x119DE1F3)
    bits = _tokens(vocabulary, keys.device) ^ first[:, None]
    bits = _stir(_stir(bits, 0x2C1B3C6D).add_(second[:, None]), 0x297A2D39)
    # Minus the logarithm of an exponential variable made of a small uniform number: where noise is
    # largest, floats are finest. Half a step and a little under 1 keep both logarithms finite.
    uniform = bits.float().add_(0.5).mul_((1 - 2**-22) * 2**-31)
    return uniform.neg_().log1p_().neg_().log_().neg_()


def _stir(bits: Tensor, factor: int) -> Tensor:
    """Mix numbers of 31 bits in place: a product carries upwards, a shift downwards."""
    bits.mul_(factor).bitwise_and_(BITS)
    return bits.bitwise_xor_(bits >> 15)


@cache
def _tokens(vocabulary: int, device: torch.device) -> Tensor:
    """Return one mixed number a token, int32 `[vocabulary]`."""
    ids = torch.arange(1, vocabulary + 1, dtype=torch.int32)
    return _stir(_stir(ids, 0x3D4D51CB), 0x2C1B3C6D).to(device)
