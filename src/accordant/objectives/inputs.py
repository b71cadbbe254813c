"""What an objective sees: one frozen record of scores per kind of feedback.

Knows scores and labels. Knows nothing of models, tokenizers, trainers or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.scoring.scores import Scores


@dataclass(frozen=True, slots=True)
class Sequences:
    """Policy scores of `n` completions and, where the objective asks for it, the reference's."""

    policy: Scores
    reference: Scores | None = None

    def log_ratio(self) -> Tensor:
        """h = log policy(y|x) - log reference(y|x), summed over tokens, float32 `[n]`.

        Raises:
            ValueError: there is no reference.
        """
        if self.reference is None:
            raise ValueError("log_ratio() needs reference scores")
        return self.policy.sum() - self.reference.sum()

    def select(self, indices: Tensor) -> Sequences:
        """The sequences at `indices` (int64 `[m]`), in that order."""
        reference = None if self.reference is None else self.reference.select(indices)
        return Sequences(self.policy.select(indices), reference)


@dataclass(frozen=True, slots=True)
class DemonstrationScores:
    """`n` answers to imitate."""

    completion: Sequences


@dataclass(frozen=True, slots=True)
class BinaryScores:
    """`n` answers with thumbs.

    Args:
        completion: the answers, `n` sequences.
        desirable: bool `[n]`.
        mismatched: for objectives registered with `mismatched=True`, every prompt with another
            example's answer, `n` sequences; None otherwise.
    """

    completion: Sequences
    desirable: Tensor
    mismatched: Sequences | None = None


@dataclass(frozen=True, slots=True)
class PairwiseScores:
    """`n` comparisons: `chosen` and `rejected` hold `n` sequences each, in the same order."""

    chosen: Sequences
    rejected: Sequences


@dataclass(frozen=True, slots=True)
class ListwiseScores:
    """Rankings of any length, flat.

    Args:
        completions: all answers of all rankings, ranking by ranking, best first: `m` sequences.
        ranking: ranking every answer belongs to, int64 `[m]`, not decreasing, from 0 to `n` - 1.
        rewards: number every answer was ranked by, float32 `[m]`; without numbers, minus its rank.
    """

    completions: Sequences
    ranking: Tensor
    rewards: Tensor


@dataclass(frozen=True, slots=True)
class LossOutput:
    """What an objective returns.

    Args:
        losses: one loss per example (record), float32 `[n]`, not averaged.
        rewards: implicit reward of every completion, float32, detached, in the order of the
            input record (for pairs: all chosen, then all rejected); None where the objective
            defines none.
        metrics: further detached numbers under the names they are logged with, one for the batch
            or one per example (`[n]`); the same names in every batch.
        weights: how much every example counts, float32 `[n]`, without gradient; all ones when
            None. The loss of a batch is sum(losses * weights) / sum(weights), both sums over the
            global batch, so that accumulation and data parallelism do not change it.
    """

    losses: Tensor
    rewards: Tensor | None = None
    metrics: dict[str, Tensor] | None = None
    weights: Tensor | None = None
