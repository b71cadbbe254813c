"""How the examples of a step are divided among processes, parts and passes.

Knows examples and their sizes. Knows nothing of models, losses or gradients, and not where the
examples come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accordant.tokens.examples import Example
from accordant.tokens.trees import plan_rows


@dataclass(frozen=True, slots=True)
class BatchRow:
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
        """Count the tokens of the packed row."""
        return sum(example.num_tokens for example in self.examples)


@dataclass(frozen=True, slots=True)
class StepShare:
    """One process's share of a step, or of one of the parts a step is accumulated over.

    Args:
        rows: passes to run, at least one.
        step_rows: passes of this process in all parts of the step, in order.
        step_examples: examples of the step over all processes and parts.
        step_tokens: their tokens.
        is_first: whether the step begins with it.
        is_alone: whether its single row is the whole step, on all processes.
    """

    rows: tuple[BatchRow, ...]
    step_rows: tuple[BatchRow, ...]
    step_examples: int
    step_tokens: int
    is_first: bool
    is_alone: bool


def make_rows(examples: Sequence[Example], budget: int, *, apart: bool = False) -> list[BatchRow]:
    """Divide `examples` into rows of at most `budget` tokens; longer examples stand alone.

    Args:
        examples: in the order of the rows.
        budget: tokens the model computes in one pass.
        apart: whether it computes every sequence with a prompt of its own.
    """
    sizes = [example.num_apart if apart else example.num_tokens for example in examples]
    planned = plan_rows(sizes, budget)
    return [BatchRow(tuple(examples[index] for index in row)) for row in planned]


def pad_rows(rows: Sequence[BatchRow], count: int, filler: Example) -> list[BatchRow]:
    """Return `rows`, made at least `count` long with rows that weigh nothing."""
    return [*rows, *(BatchRow((filler,), counts=False) for _ in range(count - len(rows)))]


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


def divide(
    examples: Sequence[Example], parts: int, *, rank: int = 0, world: int = 1
) -> list[list[Example]]:
    """Divide the examples of a step evenly; returns this process's share of every part.

    Args:
        examples: of the step, over all processes.
        parts: parts the step is accumulated over.
        rank: number of this process.
        world: number of processes.
    """
    shares = balance([example.num_tokens for example in examples], parts * world)
    return [[examples[i] for i in shares[part * world + rank]] for part in range(parts)]
