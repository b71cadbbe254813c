"""Scores of judged answers, each read after its judgment and without it.

Knows scores and verdicts. Knows nothing of losses or models; imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.objectives.inputs import NOTHING, Attached, LossOutput, Sequences
from accordant.objectives.kind import ScoredKind, split_pairs
from accordant.objectives.kinds.binary import measure_thumbs, thumbs_of
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.kind import Row


@dataclass(frozen=True, slots=True)
class JudgmentScores:
    """`n` judged answers, each read twice; the two readings are aligned token by token.

    Args:
        judged: the answers, given the prompt and the judgment, `n` sequences.
        plain: the same tokens, given the prompt alone, `n` sequences.
        good: whether the judgment approves of the answer, bool `[n]`.
        attached: what preparations gave.
    """

    judged: Sequences
    plain: Sequences
    good: Tensor
    attached: Attached = NOTHING


def assemble(scores: Sequences, examples: Sequence[Example]) -> JudgmentScores:
    """Build the record of scores of judged answers."""
    judged, plain = split_pairs(scores, examples)
    if not judged.policy.lengths.equal(plain.policy.lengths):
        raise ValueError("a judged answer has other tokens with its judgment than without")
    good = judged.policy.lengths.new_tensor(thumbs_of(examples)).bool()
    return JudgmentScores(judged, plain, good)


def metrics(inputs: JudgmentScores, _: LossOutput) -> Iterator[Row]:
    """Yield `nll/judged` and `nll/plain` per token, `logps/good` and `logps/bad` without it."""
    plain, judged = inputs.plain.policy, inputs.judged.policy
    yield "nll/judged", -judged.logps, judged.logps.new_ones(judged.logps.shape)
    yield "nll/plain", -plain.logps, plain.logps.new_ones(plain.logps.shape)
    sums = plain.sum()
    good = inputs.good.to(sums.dtype)
    yield "logps/good", sums, good
    yield "logps/bad", sums, 1 - good


KIND = ScoredKind(
    feedback=("judgment",),
    inputs=JudgmentScores,
    assemble=assemble,
    metrics=metrics,
    # Held-out answers are looked at after the prompt alone, as users will get them.
    measure=lambda logps, examples, beta: measure_thumbs(
        logps.every(2, start=1), thumbs_of(examples), beta
    ),
)
