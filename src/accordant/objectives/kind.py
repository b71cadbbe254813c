"""What losses on a kind of feedback take, and what is measured of it: a record of scores.

Knows scores, examples in tokens and labels. Knows nothing of losses or of the kinds there are: each
is a file of `objectives.kinds`. Imports no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

from accordant.objectives.inputs import Attached, LossOutput, Sequences
from accordant.statistics.measures import HeldOut
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.held_out import HeldOutLogps

    # A metric's name, its values and which of them (or how much each) count.
    Row = tuple[str, Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class ScoredKind(ABC):
    """Scores of `n` examples as losses take them; a kind of feedback says which, in fields.

    `feedback` names the kinds of feedback, of `feedback.kinds`, whose usual scores these are; a
    loss learns from the first of them unless it says more.

    Args:
        attached: what preparations gave.
    """

    feedback: ClassVar[tuple[str, ...]]
    # By keyword, so that a kind's own fields need no defaults after it.
    attached: Attached = field(default=Attached(), kw_only=True)

    @classmethod
    @abstractmethod
    def assemble(cls, scores: Sequences, examples: Sequence[Example]) -> Self:
        """Build the record from scores of the examples' own answers, in order.

        Raises:
            ValueError: they do not fit.
        """

    @abstractmethod
    def metrics(self, output: LossOutput) -> Iterator[Row]:
        """Yield what is logged of a batch beside the loss."""

    @staticmethod
    @abstractmethod
    def measure(logps: HeldOutLogps, examples: Sequence[Example], beta: float) -> HeldOut:
        """Measure held-out examples, at least one.

        Args:
            logps: log-probabilities of their own answers, in order.
            examples: records in tokens.
            beta: factor from log-ratios to implicit rewards.
        """


def answer_counts(examples: Sequence[Example]) -> list[int]:
    """Count every example's own answers, over all of its trees."""
    return [sum(len(tree.continuations) for tree in example.own_trees) for example in examples]


def expect_answers(count: int, examples: Sequence[Example]) -> None:
    """Raise ValueError unless every example has `count` answers of its own."""
    for place, answers in enumerate(answer_counts(examples)):
        if answers != count:
            raise ValueError(f"example {place} has {answers} answers where {count} are expected")


def split_pairs(scores: Sequences, examples: Sequence[Example]) -> tuple[Sequences, Sequences]:
    """Take two answers of every example apart, the first ones and the second ones."""
    expect_answers(2, examples)
    count = 2 * len(examples)
    return scores.select(range(0, count, 2)), scores.select(range(1, count, 2))
