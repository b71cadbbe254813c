"""The project's own sampler: many prompts, several samples each, in batches over a key-value cache.

Knows token ids and a transformers causal language model. Knows nothing of text. Every sequence has
its own random generator, so its tokens do not depend on the batch it was sampled in, as far as the
model's logits do not: their rounding may change with the batch, above all in bfloat16.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from accordant.base.errors import UserError
from accordant.sampling.choice import gumbel_argmax, log_probability, sequence_generator, warp
from accordant.sampling.kv_cache import advance, keep_rows, prefill
from accordant.scoring.engine import evaluating

if TYPE_CHECKING:
    from torch import Tensor, nn

Progress = Callable[[int, int, int], None]
"""Called after every step with: sequences finished, sequences in all, tokens generated so far."""

COMPACT_SHARE = 8
"""Rows are dropped once one in so many has finished: narrowing copies the whole cache."""


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How to continue a prompt.

    Args:
        max_new_tokens: at most so many tokens, the stop token included; at least 1.
        temperature: divides the logits; 0 takes the most likely token (greedy).
        top_p: sample from the smallest set of likely tokens with this mass, in (0, 1].
        top_k: sample from so many most likely tokens; 0 for all.
        seed: of all random numbers.
        stop_ids: tokens that end a sequence.
        samples_per_prompt: sequences per prompt; the prompt is computed once for all of them.
        batch_size: sequences decoded together.

    Raises:
        UserError: a number outside its range.
    """

    max_new_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop_ids: tuple[int, ...] = ()
    samples_per_prompt: int = 1
    batch_size: int = 32

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "samples_per_prompt", "batch_size"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _require(self.temperature >= 0, "temperature", self.temperature, "0 or more")
        _require(0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1")
        _require(self.top_k >= 0, "top_k", self.top_k, "0 (all tokens) or more")


def _require(holds: bool, name: str, found: float, expected: str) -> None:
    if not holds:
        raise UserError(f"found {found}, expected {expected}.", where=name)


@dataclass(frozen=True, slots=True)
class Generation:
    """One sampled continuation.

    Args:
        tokens: token ids without the stop token.
        logps: log-probability of each of them under the model itself (before temperature, top-k
            and top-p), in nats.
        stop_id: the stop token that ended it; None where the length limit did.
        stop_logp: log-probability of the stop token; None where there is none.
    """

    tokens: tuple[int, ...]
    logps: tuple[float, ...]
    stop_id: int | None = None
    stop_logp: float | None = None

    @property
    def finished(self) -> bool:
        """Whether the model ended the sequence itself."""
        return self.stop_id is not None

    @property
    def completion(self) -> tuple[int, ...]:
        """All sampled tokens, the stop token included: what a policy gradient scores."""
        return self.tokens if self.stop_id is None else (*self.tokens, self.stop_id)


@dataclass(slots=True)
class _Sequence:
    """A continuation being sampled."""

    generator: torch.Generator
    tokens: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)
    stop_id: int | None = None
    done: bool = False

    def add(self, token: int, logp: float, options: SamplingOptions) -> None:
        self.tokens.append(token)
        self.logps.append(logp)
        if token in options.stop_ids:
            self.stop_id = token
        self.done = self.stop_id is not None or len(self.tokens) >= options.max_new_tokens

    def finish(self) -> Generation:
        if self.stop_id is None:
            return Generation(tuple(self.tokens), tuple(self.logps))
        return Generation(
            tuple(self.tokens[:-1]), tuple(self.logps[:-1]), self.stop_id, self.logps[-1]
        )


def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    options: SamplingOptions,
    progress: Progress | None = None,
) -> list[Generation]:
    """Continue every prompt `samples_per_prompt` times.

    Prompts are batched by length, longest first (so that what does not fit in memory fails at
    once), and padded on the left. The same options, prompt and model give the same samples whatever
    other prompts are asked for; a prompt that occurs again gets further samples.

    Args:
        model: a transformers causal language model, or a PEFT model around one. It is put into
            evaluation mode and restored.
        prompts: token ids, at least one each.
        options: how to sample.
        progress: told how far it is after every step.

    Returns:
        `len(prompts) * samples_per_prompt` generations, prompt by prompt.

    Raises:
        UserError: a prompt and its new tokens exceed the model's positions.
        ValueError: an empty prompt.
    """
    check_lengths(model, prompts, options)
    copies = options.samples_per_prompt
    device = next(model.parameters()).device
    sequences: list[_Sequence] = []
    seen: Counter[tuple[int, ...]] = Counter()
    for prompt in map(tuple, prompts):
        for ordinal in range(seen[prompt], seen[prompt] + copies):
            sequences.append(_Sequence(sequence_generator(options.seed, prompt, ordinal, device)))
        seen[prompt] += copies
    report = _reporter(sequences, progress)
    with evaluating(model), torch.inference_mode():
        for indices, first, count in _plan(prompts, options):
            batch = [
                sequences[index * copies + sample]
                for index in indices
                for sample in range(first, first + count)
            ]
            _run_batch(model, [prompts[i] for i in indices], count, batch, options, report)
    return [sequence.finish() for sequence in sequences]


def check_lengths(
    model: nn.Module, prompts: Sequence[Sequence[int]], options: SamplingOptions
) -> None:
    """Raise if a prompt is empty (ValueError) or cannot be continued at full length (UserError)."""
    if not all(map(len, prompts)):
        raise ValueError("a prompt needs at least one token")
    limit = position_limit(model)
    longest = max(map(len, prompts), default=0)
    if limit is not None and longest + options.max_new_tokens > limit:
        raise UserError(
            f"a prompt of {longest} tokens and {options.max_new_tokens} new ones exceed the "
            f"model's {limit} positions.",
            where="max_new_tokens",
            mend=f"Shorten the prompt, or ask for at most {max(limit - longest, 0)} tokens.",
        )


def position_limit(model: Any) -> int | None:
    """Most tokens a sequence may have in all; None where the model names no limit."""
    config = model.config
    if hasattr(config, "get_text_config"):
        config = config.get_text_config(decoder=True)
    limit: int | None = getattr(config, "max_position_embeddings", None)
    return limit


def choose(
    logits: Tensor, options: SamplingOptions, generators: Sequence[torch.Generator]
) -> Tensor:
    """The next token of every row, int64 `[rows]`, from float32 logits `[rows, vocabulary]`."""
    if options.temperature == 0:
        return logits.argmax(1)
    warped = warp(logits, options.temperature, options.top_k, options.top_p)
    return gumbel_argmax(warped, generators)


def _plan(
    prompts: Sequence[Sequence[int]], options: SamplingOptions
) -> Iterator[tuple[list[int], int, int]]:
    """Batches as (indices of prompts, first sample, samples of each)."""
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    copies, size = options.samples_per_prompt, options.batch_size
    together = max(size // copies, 1)
    for start in range(0, len(order), together):
        for first in range(0, copies, size):
            yield order[start : start + together], first, min(size, copies - first)


def _run_batch(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    copies: int,
    batch: list[_Sequence],
    options: SamplingOptions,
    report: Callable[[], None],
) -> None:
    running = prefill(model, prompts, copies)
    while True:
        tokens = choose(running.logits, options, [s.generator for s in batch])
        logps = log_probability(running.logits, tokens).tolist()
        for sequence, token, logp in zip(batch, tokens.tolist(), logps, strict=True):
            if not sequence.done:
                sequence.add(token, logp, options)
        report()
        alive = [row for row, sequence in enumerate(batch) if not sequence.done]
        if not alive:
            return
        if (len(batch) - len(alive)) * COMPACT_SHARE >= len(batch):
            rows = torch.tensor(alive, device=tokens.device)
            keep_rows(running, rows)
            batch, tokens = [batch[row] for row in alive], tokens[rows]
        advance(model, running, tokens)


def _reporter(sequences: list[_Sequence], progress: Progress | None) -> Callable[[], None]:
    def report() -> None:
        if progress is not None:
            finished = sum(sequence.done for sequence in sequences)
            progress(finished, len(sequences), sum(len(s.tokens) for s in sequences))

    return report
