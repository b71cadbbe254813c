"""What a run will do, told before weights are loaded: examples, steps, what is trained, memory.

Knows settings, encoded examples and estimates. Knows nothing of the training loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.tokens.examples import Example
from accordant.training.arguments import count_steps
from accordant.training.batches import divide, make_rows
from accordant.training.estimate import (
    MemoryEstimate,
    disk_bytes,
    estimate_memory,
    read_shapes,
)
from accordant.training.settings import TrainingSettings
from accordant.training.sources import DataSet

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it starts.

    Args:
        examples: to learn from.
        held_out: to test on.
        tokens: of one pass over the examples, prompts shared.
        steps: optimiser steps.
        rows: forward and backward passes of the first epoch.
        largest_row: tokens of the largest of them.
        parameters: weights of the model.
        trained: weights that change.
        learning_rate: peak.
        memory: of one process.
        disk: bytes the run will write at most.
    """

    examples: int
    held_out: int
    tokens: int
    steps: int
    rows: int
    largest_row: int
    parameters: int
    trained: int
    learning_rate: float
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
        return [
            f"{self.examples:,} examples, {self.held_out:,} held out; {self.tokens:,} tokens a pass"
            f" in {self.rows:,} rows of up to {self.largest_row:,}; {self.steps:,} steps",
            f"training {trained}; learning rate {self.learning_rate:g}",
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
    """
    shapes = read_shapes(model, settings)
    source = DataSet(train, settings.batch_size, settings.seed)
    steps = count_steps(settings, source)
    parts = settings.gradient_accumulation_steps
    rows = [
        row
        for step in range(source.steps)
        for share in divide(source.examples(step), parts, world=processes)
        for row in make_rows(share, settings.token_budget)
    ]
    largest = max((row.num_tokens for row in rows), default=0)
    return Plan(
        examples=len(train),
        held_out=len(held_out),
        tokens=sum(example.num_tokens for example in train),
        steps=steps,
        rows=len(rows),
        largest_row=largest,
        parameters=shapes.parameters,
        trained=shapes.parameters if settings.is_full else shapes.adapter,
        learning_rate=settings.peak_learning_rate(train[0].kind),
        memory=estimate_memory(shapes, settings, largest, processes=processes),
        disk=disk_bytes(shapes, settings, steps),
    )


def show_size(count: int) -> str:
    """Write bytes as people say them: `3.1 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
