"""From logits to one token per row: warped distributions and seeded Gumbel noise.

Knows logits and random generators, one generator per sequence, so that what a sequence draws does
not depend on its neighbours in the batch. Knows nothing of models, caches or text.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.sampling.samples import SamplingOptions

CANDIDATES = 256
"""Tokens looked at first for top-p; the whole vocabulary is sorted only where they fall short."""


def sequence_generator(
    seed: int, prompt: Sequence[int], ordinal: int, device: torch.device
) -> torch.Generator:
    """Make the random generator of one sequence.

    Args:
        seed: the run's seed.
        prompt: its prompt's token ids.
        ordinal: which of the samples of this very prompt it is, from 0.
        device: where its logits are.
    """
    text = f"{seed} {ordinal} " + " ".join(map(str, prompt))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    generator = torch.Generator(device)
    # manual_seed takes 63 bits on every device.
    return generator.manual_seed(int.from_bytes(digest, "little") >> 1)


def log_probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probability of `tokens` `[rows]` under softmax(logits), float32 `[rows]`."""
    chosen = logits.gather(1, tokens[:, None]).squeeze(1)
    return chosen - logits.logsumexp(1)


def choose_tokens(
    logits: Tensor,
    options: SamplingOptions,
    generators: Sequence[torch.Generator],
    seen: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Choose the next token of every row.

    Args:
        logits: float32 `[rows, vocabulary]`.
        options: how to sample.
        generators: one per row; unused at temperature 0.
        seen: which tokens a row holds already, bool `[rows, vocabulary]`; needed where repetition
            is penalised.

    Returns:
        token ids, int64 `[rows]`, and the logits of the distribution they were drawn from,
        `[rows, vocabulary]`: the very tensor `logits` where nothing bends it.
    """
    if seen is not None:
        logits = penalise_repetition(logits, seen, options.repetition_penalty)
    if options.temperature == 0:
        return logits.argmax(1), logits
    warped = warp(logits, options.temperature, options.top_k, options.top_p, options.min_p)
    return gumbel_argmax(warped, generators), warped


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
    best = logits.topk(min(CANDIDATES, logits.shape[1])).values
    total = logits.logsumexp(1, keepdim=True)
    if bool(((best - total).exp().sum(1) < top_p).any()):
        best = logits.sort(descending=True).values
    mass = (best - total).exp().cumsum(1)
    # A token belongs to the nucleus if the mass before it is below top_p.
    inside = (mass - (best - total).exp() < top_p).sum(1, keepdim=True).clamp(min=1)
    return best.gather(1, inside - 1)


def gumbel_argmax(logits: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Sample one token per row from softmax(logits): argmax of logits plus Gumbel noise.

    Row i takes its noise from `generators[i]` alone (Gumbel-max; Maddison et al. 2014). Unlike
    inversion of the cumulative sum, a rounding difference in one logit can change the draw only
    where that logit competes for the maximum.

    Args:
        logits: float32 `[rows, vocabulary]`; minus infinity excludes a token.
        generators: one per row.

    Returns:
        token ids, int64 `[rows]`.
    """
    noise = torch.empty_like(logits)
    for row, generator in enumerate(generators):
        noise[row].uniform_(generator=generator)
    # In place: -log(-log u) is a Gumbel variable; u = 0 gives minus infinity, u is never 1.
    # (`exponential_` would save one logarithm, but is seven times slower than `uniform_`.)
    gumbel = noise.log_().neg_().log_().neg_()
    return gumbel.add_(logits).argmax(1)
