"""Values that a head read off answers, as the losses of rewards take them.

Knows values, gaps and ratings. Knows nothing of losses or models; imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.objectives.inputs import LossOutput, Sequences
from accordant.objectives.kind import ScoredKind, expect_answers
from accordant.statistics.measures import HeldOut
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.held_out import HeldOutLogps
    from accordant.objectives.kind import Row


class ReadValues(ScoredKind):
    """Values of `n` examples; of no kind of feedback the usual scores."""

    feedback = ()

    @staticmethod
    def measure(logps: HeldOutLogps, examples: Sequence[Example], beta: float) -> HeldOut:
        """Refuse: log-probabilities say nothing of rewards."""
        del logps, examples, beta
        raise ValueError("log-probabilities say nothing of rewards")


@dataclass(frozen=True, slots=True)
class PairRewards(ReadValues):
    """Rewards of `n` pairs, at the last token of each answer.

    Args:
        chosen: of the preferred answers, float32 `[n]`.
        rejected: of the others, float32 `[n]`.
        gaps: by how much the chosen answer is better, `[n]`; 0 is a tie, NaN where nobody said.
    """

    chosen: Tensor
    rejected: Tensor
    gaps: Tensor

    @classmethod
    def assemble(cls, scores: Sequences, examples: Sequence[Example]) -> PairRewards:
        """Take the rewards of the two answers of every example apart."""
        expect_answers(2, examples)
        values = _last_values(scores)
        if values.shape[1] != 1:
            raise ValueError(f"pairs are ordered by one value, the head reads {values.shape[1]}")
        gaps = [example.numbers.get("reward_gap", (math.nan,))[0] for example in examples]
        return cls(values[::2, 0], values[1::2, 0], scores.policy.beside(values, gaps))

    def metrics(self, output: LossOutput) -> Iterator[Row]:
        """Yield rewards of both answers, margins, accuracies (equal rewards half) and ties."""
        ones = output.losses.new_ones(output.losses.shape)
        margins = self.chosen - self.rejected
        tied = self.gaps == 0
        yield "rewards/chosen", self.chosen, ones
        yield "rewards/rejected", self.rejected, ones
        yield "rewards/margins", margins, ones
        # A tie has no right order, so it tells nothing of accuracy.
        yield "rewards/accuracies", (margins.sign() + 1) / 2, ones * ~tied
        yield "share_ties", tied.to(ones), ones


@dataclass(frozen=True, slots=True)
class RatedRewards(ReadValues):
    """Rewards of `n` rated answers, at the last token of each.

    Args:
        values: float32 `[n, attributes]`.
        ratings: what people gave, `[n, attributes]`; NaN where an attribute was not rated.
    """

    values: Tensor
    ratings: Tensor

    @classmethod
    def assemble(cls, scores: Sequences, examples: Sequence[Example]) -> RatedRewards:
        """Put the ratings, a row `ratings` of every example, beside the values of its answer."""
        expect_answers(1, examples)
        values = _last_values(scores)
        rows = [example.numbers.get("ratings", ()) for example in examples]
        if {len(row) for row in rows} != {values.shape[1]}:
            raise ValueError(f"an example has no rating for each of {values.shape[1]} values")
        return cls(values, scores.policy.beside(values, rows))

    def metrics(self, output: LossOutput) -> Iterator[Row]:
        """Yield the absolute error of what was rated."""
        known = ~self.ratings.isnan()
        errors = (self.values - self.ratings).abs().nan_to_num()
        yield "absolute_error", errors[known], known[known].to(output.losses)


def _last_values(scores: Sequences) -> Tensor:
    """Return what the head read at the last token of every answer, float32 `[n, attributes]`.

    Raises:
        ValueError: nothing was read.
    """
    if scores.policy.values is None:
        raise ValueError("no values were read")
    return scores.policy.last_tokens(scores.policy.values)
