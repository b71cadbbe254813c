"""Samplers: who answers prompts, be it a model here, several in turn, or a server.

Knows prompts in tokens, options and samples. Knows nothing of text, and not where samples go:
whoever needs answers takes a `Sampler`, so that a model, a server or a disk may give them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from accordant.sampling.generation import Decoder, Progress, generate
from accordant.sampling.samples import Prompt, Sample, SamplingOptions, grouped
from accordant.sampling.stepper import ModelStepper, Stepper

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase


class Sampler(Protocol):
    """Something that continues prompts."""

    def sample(self, prompts: Sequence[Prompt], options: SamplingOptions) -> list[list[Sample]]:
        """Continue every prompt (token ids) `options.samples_per_prompt` times.

        The same options and prompt give the same samples whatever else is asked for with them; a
        prompt that occurs again gets further samples.
        """
        ...


class LocalSampler:
    """A model of this process, or a stepper: several models under a guide.

    Args:
        model: a transformers causal language model, a PEFT model around one, or a `Stepper`.
        progress: told how far it is, again and again.
        tokenizer: reads the texts in which stop strings are looked for.
    """

    def __init__(
        self,
        model: nn.Module | Stepper,
        progress: Progress | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> None:
        self.stepper = as_stepper(model)
        self.progress = progress
        self.decode: Decoder | None = None if tokenizer is None else tokenizer.decode

    def sample(self, prompts: Sequence[Prompt], options: SamplingOptions) -> list[list[Sample]]:
        """Continue every prompt; see `generation.generate`.

        Raises:
            UserError: a prompt and its new tokens exceed the model's positions, or there are stop
                strings and no tokenizer.
            ValueError: an empty prompt.
        """
        return generate(self.stepper, prompts, options, self.progress, self.decode)


@runtime_checkable
class TokenDrawer(Protocol):
    """A policy that is advanced token by token in a way of its own, such as a table."""

    def stepper(self) -> Stepper:
        """Return a stepper over the policy as it stands whenever it is asked."""


def as_stepper(model: nn.Module | Stepper, *, adapter: bool = True) -> Stepper:
    """Return the stepper of a model, or the stepper itself.

    Args:
        model: a model, a policy with a stepper of its own, or a stepper.
        adapter: whether the model's adapter is part of it.
    """
    from torch import nn

    if isinstance(model, TokenDrawer):
        return model.stepper()
    return ModelStepper(model, adapter=adapter) if isinstance(model, nn.Module) else model


@dataclass(frozen=True)
class Mixture:
    """Several samplers, each sample drawn from one of them by chance.

    Args:
        samplers: at least one.
        weights: probability of each, up to a common factor.

    Raises:
        ValueError: the numbers differ, or weights are negative or all 0.
    """

    samplers: tuple[Sampler, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.samplers) != len(self.weights):
            raise ValueError(f"{len(self.samplers)} samplers and {len(self.weights)} weights")
        if min(self.weights, default=0) < 0 or sum(self.weights) <= 0:
            raise ValueError(f"weights {self.weights}: expected at least 0, and not all 0")

    def sample(self, prompts: Sequence[Prompt], options: SamplingOptions) -> list[list[Sample]]:
        """Continue every prompt; who draws a sample depends on seed, prompt and its number only."""
        copies = options.samples_per_prompt
        known: Counter[tuple[int, ...]] = Counter()
        order = []
        for prompt in (tuple(prompt) for prompt in prompts for _ in range(copies)):
            chance = Random(f"mixture {options.seed} {known[prompt]} {prompt}")
            order.append((chance.choices(range(len(self.weights)), self.weights)[0], prompt))
            known[prompt] += 1
        # One sample a time: a prompt that comes again gets the next of its series.
        one = replace(options, samples_per_prompt=1)
        drawn = [
            iter(sampler.sample([prompt for drawer, prompt in order if drawer == index], one))
            for index, sampler in enumerate(self.samplers)
        ]
        return grouped([next(drawn[drawer])[0] for drawer, _ in order], copies)
