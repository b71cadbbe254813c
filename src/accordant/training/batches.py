"""Which examples a step trains on, and how they are divided among processes, parts and passes.

Knows examples and their sizes. Knows nothing of models, losses or gradients. The order of the data
depends on the seed and the epoch alone, never on how many processes or parts share the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from accordant.tokens.examples import Example
from accordant.tokens.trees import plan_rows


@dataclass(frozen=True, slots=True)
class Row:
    """Examples that go through the model in one pass.

    Args:
        examples: at least one.
        counts: False for a row that only keeps this process in step with the others; it is run and
            weighs nothing.
    """

    examples: tuple[Example, ...]
    counts: bool = True

    @property
    def num_tokens(self) -> int:
        """Tokens of the packed row."""
        return sum(example.num_tokens for example in self.examples)


@dataclass(frozen=True, slots=True)
class Part:
    """One process's share of a step, or of one of the parts a step is accumulated over.

    Args:
        rows: passes to run, at least one.
        step_rows: passes of this process in all parts of the step, in order.
        step_examples: examples of the step over all processes and parts.
        is_first: whether the step begins with it.
        is_alone: whether its single row is the whole step, on all processes.
    """

    rows: tuple[Row, ...]
    step_rows: tuple[Row, ...]
    step_examples: int
    is_first: bool
    is_alone: bool


def make_rows(examples: Sequence[Example], budget: int) -> list[Row]:
    """Divide `examples` into rows of at most `budget` tokens; longer examples stand alone."""
    planned = plan_rows([example.num_tokens for example in examples], budget)
    return [Row(tuple(examples[index] for index in row)) for row in planned]


def pad_rows(rows: Sequence[Row], count: int, filler: Example) -> list[Row]:
    """`rows`, made at least `count` long with rows that weigh nothing."""
    return [*rows, *(Row((filler,), counts=False) for _ in range(count - len(rows)))]


def balance(sizes: Sequence[int], parts: int) -> list[list[int]]:
    """Divide items into `parts` of nearly equal total size (largest first, to the emptiest part).

    Returns:
        for every part the indices of its items, in increasing order; some may be empty.
    """
    totals = [(0, 0, part) for part in range(parts)]
    members: list[list[int]] = [[] for _ in range(parts)]
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        emptiest = min(totals)
        total, count, part = emptiest
        totals[totals.index(emptiest)] = (total + sizes[index], count + 1, part)
        members[part].append(index)
    return [sorted(items) for items in members]


@dataclass
class StepSampler:
    """Indices of this process's examples, one list for every part of every step of an epoch.

    A step takes `batch_size` consecutive examples of the epoch's order, the last one what is left:
    nothing is dropped and nothing repeated. Works as the batch sampler of a torch DataLoader.

    Args:
        sizes: tokens of every example.
        batch_size: examples per step, over all processes and parts.
        parts: parts a step is accumulated over.
        rank: number of this process.
        world: number of processes.
        seed: of the order.
        epoch: pass over the data, from 0; set by the trainer.
    """

    sizes: Sequence[int]
    batch_size: int
    parts: int = 1
    rank: int = 0
    world: int = 1
    seed: int = 0
    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the pass over the data that the next iteration walks."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.sizes) // self.batch_size) * self.parts

    def order(self) -> list[int]:
        """All examples in the order of this epoch."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order: list[int] = torch.randperm(len(self.sizes), generator=generator).tolist()
        return order

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order()
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            shares = balance([self.sizes[i] for i in batch], self.parts * self.world)
            for part in range(self.parts):
                yield [batch[i] for i in shares[part * self.world + self.rank]]
