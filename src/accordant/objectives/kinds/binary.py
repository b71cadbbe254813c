"""Scores of answers with thumbs: implicit rewards of desirable and undesirable ones.

Knows scores and labels. Knows nothing of losses or models; imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.objectives.inputs import LossOutput, Sequences
from accordant.objectives.kind import ScoredKind, expect_answers
from accordant.statistics.measures import HeldOut, Measure
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.held_out import HeldOutLogps, Values
    from accordant.objectives.kind import Row


@dataclass(frozen=True, slots=True)
class BinaryScores(ScoredKind):
    """`n` answers with thumbs.

    Args:
        completion: the answers, `n` sequences.
        desirable: bool `[n]`.
    """

    feedback = ("binary",)
    completion: Sequences
    desirable: Tensor

    @classmethod
    def assemble(cls, scores: Sequences, examples: Sequence[Example]) -> BinaryScores:
        """Take one answer and one label of every example."""
        expect_answers(1, examples)
        labels = [example.label for example in examples]
        if None in labels:
            raise ValueError("a binary example has no label")
        return cls(scores, scores.policy.beside(scores.policy.lengths, labels).bool())

    def metrics(self, output: LossOutput) -> Iterator[Row]:
        """Yield `rewards/` and `logps/` of desirable and undesirable answers."""
        logps = self.completion.policy.sum()
        wanted = self.desirable.to(logps.dtype)
        for noun, values in (("rewards", output.rewards), ("logps", logps)):
            if values is not None:
                yield f"{noun}/desirable", values, wanted
                yield f"{noun}/undesirable", values, 1 - wanted

    @staticmethod
    def measure(logps: HeldOutLogps, examples: Sequence[Example], beta: float) -> HeldOut:
        """Measure how well implicit rewards tell the labels apart."""
        return measure_thumbs(logps, thumbs_of(examples), beta)


def thumbs_of(examples: Sequence[Example]) -> list[float]:
    """Return 1 for every wanted example and 0 for the others, those without a label included."""
    return [float(bool(example.label)) for example in examples]


def measure_thumbs(completions: HeldOutLogps, desirable: Values, beta: float = 1.0) -> HeldOut:
    """Measure `n` completions with thumbs.

    Args:
        completions: their log-probabilities.
        desirable: True or 1 for a thumb up, `[n]`.
        beta: the objective's factor from log-ratios to implicit rewards.
    """
    from accordant.objectives.held_out import against_chance, histogram_of, mean_of, paired, wins
    from accordant.statistics.estimates import area_under_curve, proportion

    rewards, thumbs = paired(completions=completions.rewards(beta), desirable=desirable)
    groups = {"desirable": thumbs != 0, "undesirable": thumbs == 0}
    # The sign of the reward is right where it is that of the thumb.
    right = proportion(wins(rewards * (2.0 * groups["desirable"] - 1.0)))
    accuracy = Measure("accuracy", right, "share", "accuracy by sign of the implicit reward")
    # NaN where one of the two groups is missing: there is nothing to tell apart.
    area = area_under_curve(*(rewards[members] for members in groups.values()))
    auc = Measure("auc", area, "share", "AUC of the implicit reward")
    return HeldOut(
        kind="binary",
        count=len(rewards),
        facts={"beta": beta, **{name: None for name, who in groups.items() if not who.any()}},
        measures=(
            against_chance(accuracy, "held-out accuracy"),
            against_chance(auc, "held-out AUC", in_verdict=False),
            *(
                mean_of(f"rewards_{name}", f"implicit reward of {name}", rewards[who])
                for name, who in groups.items()
            ),
        ),
        changes=tuple(
            completions.change(name, who, wanted=name == "desirable")
            for name, who in groups.items()
            if who.any()
        ),
        charts=(
            histogram_of(
                "Held-out implicit rewards",
                "The further apart the two, the better the model tells them apart.",
                ("implicit reward", "completions"),
                *((name, rewards[who]) for name, who in reversed(groups.items())),
            ),
        ),
    )


KIND = BinaryScores
