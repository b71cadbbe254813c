"""What a sampler is asked for and what it gives back: options and samples.

Knows token ids and log-probabilities. Knows no model, no text and no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accordant.base.errors import UserError

Prompt = Sequence[int]
"""Token ids, at least one."""


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How to continue a prompt.

    A draw is made from the logits after, in this order: logit bias, repetition penalty,
    temperature, top-k, top-p, min-p (the order of transformers).

    Args:
        max_new_tokens: at most so many tokens, the stop token included; at least 1.
        temperature: divides the logits; 0 takes the most likely token (greedy).
        top_p: sample from the smallest set of likely tokens with this mass, in (0, 1].
        top_k: sample from so many most likely tokens; 0 for all.
        seed: of all random numbers.
        stop_ids: tokens that end a sequence.
        samples_per_prompt: sequences per prompt; the prompt is computed once for all of them.
        batch_size: sequences decoded together; one that ends makes room for the next.
        min_p: sample from tokens at least so likely, relative to the most likely one, in [0, 1).
        repetition_penalty: logits of tokens that the prompt or the answer holds are divided by it
            where they are positive, multiplied where they are negative; 1 leaves them.
        stop_strings: texts that end a sequence: with the token that completes one.
        logit_bias: tokens and what is added to their logits; minus infinity forbids one.

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
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    stop_strings: tuple[str, ...] = ()
    logit_bias: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "samples_per_prompt", "batch_size"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _require(self.temperature >= 0, "temperature", self.temperature, "0 or more")
        _require(0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1")
        _require(self.top_k >= 0, "top_k", self.top_k, "0 (all tokens) or more")
        _require(0 <= self.min_p < 1, "min_p", self.min_p, "at least 0 and below 1")
        penalty = self.repetition_penalty
        _require(penalty > 0, "repetition_penalty", penalty, "above 0 (1 for none)")
        _require(all(self.stop_strings), "stop_strings", "", "texts that are not empty")


def _require(holds: bool, name: str, found: object, expected: str) -> None:
    if not holds:
        raise UserError(f"found {found!r}, expected {expected}.", where=name)


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled continuation.

    Args:
        completion: all sampled token ids, the stop token included: what a policy gradient scores.
        logps: log-probability of each of them under the model itself (before guides, temperature
            and what else bends the distribution), nats; empty where a server gave none.
        drawn_logps: the same under the distribution they were drawn from; of a greedy choice 0.
            Empty where a server drew, unless both are the same distribution.
        finished: whether a stop token or a stop string ended it, not the limit of its length.
        stop_id: the stop token `completion` ends with; None where it ends with none.
    """

    completion: tuple[int, ...]
    logps: tuple[float, ...] = ()
    drawn_logps: tuple[float, ...] = ()
    finished: bool = False
    stop_id: int | None = None

    @property
    def tokens(self) -> tuple[int, ...]:
        """Return what is read: the completion without its stop token."""
        return self.completion if self.stop_id is None else self.completion[:-1]


def grouped(samples: Sequence[Sample], copies: int) -> list[list[Sample]]:
    """Group samples by prompt, from samples in the order of their prompts."""
    return [list(samples[at : at + copies]) for at in range(0, len(samples), copies)]
