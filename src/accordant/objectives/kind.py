"""What losses on a kind of feedback take and what is measured of it: one frozen record.

Knows scores, examples in tokens and labels. Knows nothing of losses or of the kinds there are: each
is a file of `objectives.kinds`. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.held_out import HeldOutLogps
    from accordant.objectives.inputs import LossOutput, Sequences
    from accordant.statistics.measures import HeldOut

    # A metric's name, its values and which of them (or how much each) count.
    Row = tuple[str, Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class ScoredKind:
    """Scores of some kinds of feedback.

    Args:
        feedback: kinds of feedback, names of `feedback.kinds`, whose usual scores these are.
        inputs: record of scores that losses take, a frozen dataclass with a field `attached`.
        assemble: from scores of the examples' own answers, in order, to that record. Raises
            ValueError where they do not fit.
        metrics: what is logged of a batch beside the loss.
        measure: what held-out examples say, from log-probabilities of their own answers and beta,
            the factor from log-ratios to implicit rewards; at least one example.
    """

    feedback: tuple[str, ...]
    inputs: type
    assemble: Callable[[Sequences, Sequence[Example]], Any]
    metrics: Callable[[Any, LossOutput], Iterator[Row]]
    measure: Callable[[HeldOutLogps, Sequence[Example], float], HeldOut]


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
    first = scores.policy.lengths.new_tensor(range(0, 2 * len(examples), 2))
    return scores.select(first), scores.select(first + 1)
