"""Scores of judged answers, each read after its judgment and without it.

Knows scores and verdicts. Knows nothing of losses or models; imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.objectives.inputs import LossOutput, Sequences
from accordant.objectives.kind import ScoredKind, split_pairs
from accordant.objectives.kinds.binary import measure_thumbs, thumbs_of
from accordant.statistics.measures import HeldOut
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.held_out import HeldOutLogps
    from accordant.objectives.kind import Row


@dataclass(frozen=True, slots=True)
class JudgmentScores(ScoredKind):
    """`n` judged answers, each read twice; the two readings are aligned token by token.

    Args:
        judged: the answers, given the prompt and the judgment, `n` sequences.
        plain: the same tokens, given the prompt alone, `n` sequences.
        good: whether the judgment approves of the answer, bool `[n]`.
    """

    feedback = ("judgment",)
    judged: Sequences
    plain: Sequences
    good: Tensor

    @classmethod
    def assemble(cls, scores: Sequences, examples: Sequence[Example]) -> JudgmentScores:
        """Take both readings of every answer, and its verdict."""
        judged, plain = split_pairs(scores, examples)
        # Losses compare token by token, so a reading that is tokenised otherwise is useless.
        if judged.policy.host_lengths != plain.policy.host_lengths:
            raise ValueError("a judged answer has other tokens with its judgment than without")
        good = judged.policy.beside(judged.policy.lengths, thumbs_of(examples)).bool()
        return cls(judged, plain, good)

    def metrics(self, output: LossOutput) -> Iterator[Row]:
        """Yield `nll/judged` and `nll/plain` per token, `logps/good` and `logps/bad` without it."""
        del output
        for name, scores in (("judged", self.judged.policy), ("plain", self.plain.policy)):
            yield f"nll/{name}", -scores.logps, scores.logps.new_ones(scores.logps.shape)
        sums = self.plain.policy.sum()
        good = self.good.to(sums.dtype)
        yield "logps/good", sums, good
        yield "logps/bad", sums, 1 - good

    @staticmethod
    def measure(logps: HeldOutLogps, examples: Sequence[Example], beta: float) -> HeldOut:
        """Measure answers after the prompt alone, as users will get them."""
        return measure_thumbs(logps.every(2, start=1), thumbs_of(examples), beta)


KIND = JudgmentScores
