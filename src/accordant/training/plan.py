"""What a run will do, told before weights are loaded: examples, steps, what is trained, memory.

Knows settings, encoded examples and estimates. Knows nothing of the training loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from accordant.base.errors import UserError
from accordant.models.families import describe_apart, why_apart
from accordant.scoring.compilation import why_not_compilable
from accordant.tokens.examples import Example
from accordant.training.arguments import check_machine, count_steps
from accordant.training.batches import divide, make_rows
from accordant.training.estimate import (
    MemoryEstimate,
    disk_bytes,
    estimate_memory,
    planned_device,
    read_shapes,
)
from accordant.training.settings import TrainingSettings
from accordant.training.sources import DataSet, Source

# Operations of a run from which on compiled layers save more time than compiling takes: about a
# minute's, in compiled layers about half of that (on a GPU) or three quarters.
EARNED = {"cuda": 5e15, "cpu": 2e13}

# Peak rate times steps below which little is to be expected: the embedded model showed nothing at
# 2e-5, and does in the demo at 3e-4.
REACH = 1e-4

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it starts.

    Args:
        examples: to learn from.
        held_out: to test on.
        tokens: of one pass over the examples, prompts shared where they can be.
        steps: optimiser steps.
        rows: forward and backward passes of the first epoch.
        largest_row: tokens of the largest of them, as the model computes them.
        apart: why prompts are not shared; empty where they are.
        shared_tokens: what a pass would take if they were.
        parameters: weights of the model.
        trained: weights that change.
        learning_rate: peak.
        small_rate: whether that is the default and moves little in so few steps.
        not_compiled: why layers run as they are; empty where they are compiled.
        memory: of one process.
        disk: bytes the run will write at most.
    """

    examples: int
    held_out: int
    tokens: int
    steps: int
    rows: int
    largest_row: int
    apart: str
    shared_tokens: int
    parameters: int
    trained: int
    learning_rate: float
    small_rate: bool
    not_compiled: str
    memory: MemoryEstimate
    disk: int

    def lines(self) -> list[str]:
        """Say the plan in words, a few lines."""
        memory = self.memory
        if self.trained == self.parameters:
            trained = f"all {self.parameters:,} weights"
        else:
            share = self.trained / max(self.parameters, 1)
            trained = f"an adapter of {self.trained:,} weights, {share:.2%} of {self.parameters:,}"
        # Adam moves a weight by about the rate a step: the two together say how far it gets.
        more = f"--learning-rate {10 * self.learning_rate:g}"
        hint = f"; little for {self.steps:,} steps ({more} moves more)" if self.small_rate else ""
        return [
            f"{self.examples:,} examples, {self.held_out:,} held out; {self.tokens:,} tokens a pass"
            f" in {self.rows:,} rows of up to {self.largest_row:,}; {self.steps:,} steps",
            *([describe_apart(self.apart, self.tokens, self.shared_tokens)] if self.apart else []),
            f"training {trained}; learning rate {self.learning_rate:g}{hint}",
            f"layers not compiled: {self.not_compiled}"
            if self.not_compiled
            else "layers compiled once, before the first step",
            f"memory about {show_size(memory.total)}: weights {show_size(memory.weights)}, "
            f"gradients {show_size(memory.gradients)}, optimiser {show_size(memory.optimizer)}, "
            f"activations {show_size(memory.activations)}, temporary "
            f"{show_size(memory.temporary)}",
            f"disk up to {show_size(self.disk)}",
        ]


def make_plan(
    model: PreTrainedConfig,
    settings: TrainingSettings,
    train: Sequence[Example],
    held_out: Sequence[Example] = (),
    *,
    processes: int = 1,
) -> Plan:
    """Plan a run from the model's configuration and the encoded examples.

    Args:
        model: configuration of the model; no weights are read.
        settings: of the run.
        train: examples to learn from, at least one.
        held_out: examples to test on.
        processes: processes of the run.

    Raises:
        UserError: something is not installed, or this machine cannot do it.
    """
    device = planned_device(settings)
    check_machine(settings, device)
    shapes = read_shapes(model, settings)
    source = DataSet(train, settings.batch_size, settings.seed)
    steps = count_steps(settings, source)
    apart = why_apart(model)
    rows = row_sizes(source, settings, processes, apart=bool(apart))
    largest = max(rows, default=0)
    shared_tokens = sum(example.num_tokens for example in train)
    weights, rate = shapes.parameters, settings.peak_learning_rate(train[0].kind)
    return Plan(
        examples=len(train),
        held_out=len(held_out),
        tokens=sum(example.num_apart for example in train) if apart else shared_tokens,
        steps=steps,
        rows=len(rows),
        largest_row=largest,
        apart=apart,
        shared_tokens=shared_tokens,
        parameters=weights,
        trained=weights if settings.is_full else shapes.adapter,
        learning_rate=rate,
        small_rate=settings.learning_rate is None and rate * steps < REACH,
        not_compiled="prompts are not shared"
        if apart
        else why_not_compiled(settings, source, weights, device),
        memory=estimate_memory(shapes, settings, largest, processes=processes),
        disk=disk_bytes(shapes, settings, steps),
    )


def row_sizes(
    source: Source, settings: TrainingSettings, processes: int = 1, *, apart: bool = False
) -> list[int]:
    """Count the tokens of every row of the first epoch; none where examples are yet to be made."""
    if not isinstance(source, DataSet):
        return []
    parts = settings.gradient_accumulation_steps
    return [
        sum(example.num_apart for example in row.examples) if apart else row.num_tokens
        for step in range(source.steps)
        for share in divide(source.examples(step), parts, world=processes)
        for row in make_rows(share, settings.token_budget, apart=apart)
    ]


def why_not_compiled(
    settings: TrainingSettings, source: Source, weights: int, device: torch.device
) -> str:
    """Explain why the layers of a run stay as they are; empty where they are to be compiled.

    Args:
        settings: of the run.
        source: of its examples.
        weights: of the model.
        device: the model will be on.

    Raises:
        UserError: settings ask for what does not work here.
    """
    why = why_not_compilable(device)
    if settings.compile == "on" and why:
        raise UserError(f"layers cannot be compiled: {why}.", where="--compile", mend="Use auto.")
    if settings.compile != "auto":
        return "" if settings.compile == "on" else "switched off"
    if why:
        return why
    if device.type == "cpu" and not torch.cpu._is_amx_tile_supported():
        # Products take most of a step there; what is left to fuse does not pay (dev/LOG.md).
        return "it gains little on this processor"
    steps = count_steps(settings, source)
    tokens = steps * settings.token_budget
    if source.steps:
        tokens = steps * sum(example.num_tokens for example in source.known) // source.steps
    # Six operations a weight and token for training, two for the reference.
    return "" if 8 * weights * tokens > EARNED[device.type] else "too short a run to earn it"


def show_size(count: int) -> str:
    """Write bytes as people say them: `3.1 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
