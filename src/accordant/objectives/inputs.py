"""What objectives see and return: sequences in scores, what was attached to them, losses.

Knows scores. Knows nothing of models, tokenizers, trainers or files; the records that kinds of
feedback make of them are in `objectives.kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.scoring.scores import Scores


@dataclass(frozen=True, slots=True)
class Sequences:
    """Policy scores of `n` completions and, where the objective asks for it, the reference's.

    Args:
        policy: of the model that is trained.
        reference: of the frozen reference, on the same tokens.
    """

    policy: Scores
    reference: Scores | None = None

    def log_ratio(self) -> Tensor:
        """Compute h = log policy(y|x) - log reference(y|x), summed over tokens, float32 `[n]`.

        Raises:
            ValueError: there is no reference.
        """
        if self.reference is None:
            raise ValueError("log_ratio() needs reference scores")
        return self.policy.sum() - self.reference.sum()

    def token_log_ratios(self) -> Tensor:
        """Subtract log reference from log policy of every token, float32 `[tokens]`.

        Raises:
            ValueError: there is no reference.
        """
        if self.reference is None:
            raise ValueError("token_log_ratios() needs reference scores")
        return self.policy.logps - self.reference.logps

    def select(self, indices: Sequence[int]) -> Sequences:
        """Return the sequences at `indices`, in that order."""
        reference = self.reference and self.reference.select(indices)
        return Sequences(self.policy.select(indices), reference)


@dataclass(frozen=True, slots=True)
class ExtraAnswers:
    """Answers that were attached to the examples, flat.

    Args:
        answers: example by example, `m` sequences.
        example: example every answer belongs to, int64 `[m]`, not decreasing, from 0 to `n` - 1;
            every example has at least one.
    """

    answers: Sequences
    example: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """Average `values` `[m]` over the answers of every example, `[n]`."""
        counts = self.example.bincount()
        return values.new_zeros(counts.shape).index_add(0, self.example, values) / counts


@dataclass(frozen=True, slots=True)
class Attached:
    """What preparations gave to `n` examples, by the names in `objectives.preparations`.

    Args:
        numbers: float32 `[n, k]`, k numbers of every example, without gradient.
        answers: further answers to the examples' prompts.
    """

    numbers: Mapping[str, Tensor] = field(default_factory=dict)
    answers: Mapping[str, ExtraAnswers] = field(default_factory=dict)

    def number(self, name: str) -> Tensor:
        """Return the single number every example has under `name`, `[n]`.

        Raises:
            ValueError: it was not attached.
        """
        return self.row(name).squeeze(1)

    def row(self, name: str) -> Tensor:
        """Return the numbers every example has under `name`, `[n, k]`.

        Raises:
            ValueError: they were not attached.
        """
        if name not in self.numbers:
            raise ValueError(f"{name!r} is attached to none of the examples, or not to all")
        return self.numbers[name]

    def extra(self, name: str) -> ExtraAnswers:
        """Return the further answers under `name`.

        Raises:
            ValueError: they were not attached.
        """
        if name not in self.answers:
            raise ValueError(f"{name!r} answers were not scored")
        return self.answers[name]


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
