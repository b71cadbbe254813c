"""Where the examples of a step come from: a data set, or a loop that samples from the policy.

Knows examples, and the policy as something to hand on. Knows nothing of losses, rows or processes:
the trainer divides what a source gives among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import torch

from accordant.objectives.preparations import DETAILS
from accordant.tokens.examples import Example
from accordant.tokens.fingerprint import fingerprint_examples

if TYPE_CHECKING:
    from torch import nn


class Source(Protocol):
    """What the trainer asks for the examples of every step."""

    @property
    def kind(self) -> str:
        """Record type of its examples."""
        ...

    @property
    def steps(self) -> int | None:
        """Steps of one pass over it; None where it has no end and `max_steps` ends the run."""
        ...

    @property
    def known(self) -> Sequence[Example]:
        """Examples that are known before the first step, to plan and to try; may be empty."""
        ...

    @property
    def on_policy(self) -> bool:
        """Whether the answers of a step are samples of the policy as it then is."""
        ...

    def examples(self, step: int, policy: nn.Module) -> Sequence[Example]:
        """Return all examples of a step, at least one.

        Every process asks at the same time, and must get the same examples in the same order. They
        depend on the arguments alone, so that a resumed run goes on as it would have gone.

        Args:
            step: number of the step in the run, from 0.
            policy: the model as it stands before the step, perhaps sharded; left as it is.
        """
        ...

    def identity(self) -> Mapping[str, str]:
        """Return what a resumed run must share with the one it continues, by name."""
        ...


@dataclass(frozen=True, eq=False)
class DataSet:
    """Examples in an order of their own in every epoch, nothing dropped and nothing repeated.

    A step takes `batch_size` consecutive examples of the epoch's order, the last one what is left.

    Args:
        known: examples to learn from, at least one.
        batch_size: examples of a step.
        seed: of the order.
    """

    known: Sequence[Example]
    batch_size: int
    seed: int = 0
    on_policy = False

    @property
    def kind(self) -> str:
        """Record type of the examples."""
        return self.known[0].kind

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.known) // self.batch_size)

    def examples(self, step: int, policy: nn.Module | None = None) -> list[Example]:  # noqa: ARG002
        """Return the examples of a step, whatever the policy."""
        epoch, place = divmod(step, self.steps)
        first = place * self.batch_size
        order = epoch_order(len(self.known), self.seed, epoch)
        return [self.known[index] for index in order[first : first + self.batch_size]]

    def identity(self) -> Mapping[str, str]:
        """Return hashes of tokens and of what the records say of them."""
        # What preparations computed is left out: it need not be equal to the last bit.
        names = [detail.attaches for detail in DETAILS]
        labels = [(e.label, e.rewards, [e.numbers.get(n) for n in names]) for e in self.known]
        return {
            "data": fingerprint_examples(self.known),
            "labels": hashlib.sha256(repr(labels).encode()).hexdigest(),
        }


@lru_cache(maxsize=4)
def epoch_order(count: int, seed: int, epoch: int) -> tuple[int, ...]:
    """Return the places of `count` examples in the order of an epoch, from 0."""
    # Of the seed and the epoch alone: processes and parts share one order, however many they are.
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return tuple(torch.randperm(count, generator=generator).tolist())
