"""Scores of pairs: margins between chosen and rejected answers, under one prompt or two.

Knows scores. Knows nothing of losses or models; imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.objectives.inputs import LossOutput, Sequences
from accordant.objectives.kind import ScoredKind, split_pairs
from accordant.statistics.measures import HeldOut
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.held_out import HeldOutLogps
    from accordant.objectives.kind import Row


@dataclass(frozen=True, slots=True)
class PairwiseScores(ScoredKind):
    """`n` pairs: `chosen` and `rejected` hold `n` sequences each, in the same order."""

    feedback = ("comparison", "joint_pair")
    chosen: Sequences
    rejected: Sequences

    @classmethod
    def assemble(cls, scores: Sequences, examples: Sequence[Example]) -> PairwiseScores:
        """Take the two answers of every example apart."""
        return cls(*split_pairs(scores, examples))

    def log_ratios(self) -> tuple[Tensor, Tensor]:
        """Return h of the chosen and of the rejected answers, `[n]` each; see `Sequences`."""
        return self.chosen.log_ratio(), self.rejected.log_ratio()

    def per_token(self, chosen: Tensor, rejected: Tensor) -> tuple[Tensor, Tensor]:
        """Divide values of the chosen and the rejected answers, `[n]`, by their tokens."""
        return chosen / self.chosen.policy.lengths, rejected / self.rejected.policy.lengths

    def metrics(self, output: LossOutput) -> Iterator[Row]:
        """Yield rewards of both answers, margins and accuracies (ties are wrong), and `logps/`."""
        ones = output.losses.new_ones(output.losses.shape)
        if output.rewards is not None:
            chosen, rejected = output.rewards.chunk(2)
            yield "rewards/chosen", chosen, ones
            yield "rewards/rejected", rejected, ones
            yield "rewards/margins", chosen - rejected, ones
            # As in TRL: a tie, such as every pair before the first step, is not a half but wrong.
            yield "rewards/accuracies", (chosen > rejected).to(ones.dtype), ones
        yield "logps/chosen", self.chosen.policy.sum(), ones
        yield "logps/rejected", self.rejected.policy.sum(), ones

    @staticmethod
    def measure(logps: HeldOutLogps, examples: Sequence[Example], beta: float) -> HeldOut:
        """Measure how the margins of the pairs moved."""
        del examples  # every one has two answers, chosen first
        return measure_comparisons(logps.every(2), logps.every(2, start=1), beta)


def measure_comparisons(chosen: HeldOutLogps, rejected: HeldOutLogps, beta: float = 1.0) -> HeldOut:
    """Measure `n` pairs; `chosen` and `rejected` are in the same order.

    Args:
        chosen: log-probabilities of the preferred completions.
        rejected: those of the others.
        beta: the objective's factor from log-ratios to implicit rewards.
    """
    from accordant.objectives.held_out import (
        against_chance,
        histogram_of,
        mean_of,
        paired,
        share_of,
    )

    better, worse = paired(chosen=chosen.rewards(beta), rejected=rejected.rewards(beta))
    new, new_worse = paired(chosen=chosen.policy, rejected=rejected.policy)
    old, old_worse = paired(chosen=chosen.start, rejected=rejected.start)
    gaps, new, old = better - worse, new - new_worse, old - old_worse
    likelier = "chosen answer is the likelier one"
    margin = "log-probability margin"
    return HeldOut(
        kind="comparison",
        count=len(new),
        facts={"beta": beta},
        measures=(
            against_chance(
                share_of("accuracy", "implicit reward accuracy", gaps), "held-out reward accuracy"
            ),
            share_of("ranked_before", f"{likelier}, at the start", old),
            share_of("ranked_after", f"{likelier}, after training", new),
            mean_of("reward_margins", "implicit reward margin", gaps),
            mean_of("logp_margins_before", f"{margin} at the start", old, "nats"),
            mean_of("logp_margins_after", f"{margin} after training", new, "nats"),
        ),
        changes=(chosen.change("chosen"), rejected.change("rejected", wanted=False)),
        charts=(
            histogram_of(
                "Held-out reward margins",
                "Right of zero the trained model prefers the chosen answer more than the reference "
                "does.",
                ("implicit reward of chosen minus rejected", "comparisons"),
                ("ordered right", gaps[gaps > 0]),
                ("ordered wrong", gaps[gaps < 0]),
                ("tied", gaps[gaps == 0]),
            ),
            histogram_of(
                "Held-out log-prob margins",
                "Right of zero the chosen answer is the likelier one of the two.",
                ("log-probability of chosen minus rejected, nats", "comparisons"),
                ("at the start", old),
                ("after training", new),
            ),
        ),
    )


KIND = PairwiseScores
