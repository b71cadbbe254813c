"""Scores of answers with thumbs: implicit rewards of desirable and undesirable ones.

Knows scores and labels. Knows nothing of losses or models; imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.objectives.inputs import NOTHING, Attached, LossOutput, Sequences
from accordant.objectives.kind import ScoredKind, expect_answers
from accordant.statistics.measures import HeldOut, Measure, chance_figure
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.objectives.held_out import HeldOutLogps, Values
    from accordant.objectives.kind import Row


@dataclass(frozen=True, slots=True)
class BinaryScores:
    """`n` answers with thumbs.

    Args:
        completion: the answers, `n` sequences.
        desirable: bool `[n]`.
        attached: what preparations gave.
    """

    completion: Sequences
    desirable: Tensor
    attached: Attached = NOTHING


def assemble(scores: Sequences, examples: Sequence[Example]) -> BinaryScores:
    """Build the record of scores of answers with thumbs."""
    expect_answers(1, examples)
    labels = [example.label for example in examples]
    if None in labels:
        raise ValueError("a binary example has no label")
    return BinaryScores(scores, scores.policy.lengths.new_tensor(labels).bool())


def metrics(inputs: BinaryScores, output: LossOutput) -> Iterator[Row]:
    """Yield `rewards/` and `logps/` of desirable and undesirable answers."""
    sums = inputs.completion.policy.sum()
    wanted = inputs.desirable.to(sums.dtype)
    if output.rewards is not None:
        yield "rewards/desirable", output.rewards, wanted
        yield "rewards/undesirable", output.rewards, 1 - wanted
    yield "logps/desirable", sums, wanted
    yield "logps/undesirable", sums, 1 - wanted


def measure_thumbs(completions: HeldOutLogps, desirable: Values, beta: float = 1.0) -> HeldOut:
    """Measure `n` completions with thumbs.

    Args:
        completions: their log-probabilities.
        desirable: True or 1 for a thumb up, `[n]`.
        beta: the objective's factor from log-ratios to implicit rewards.
    """
    from accordant.objectives.held_out import histogram_of, mean_of, wins
    from accordant.statistics.estimates import area_under_curve, proportion, to_floats

    rewards, good = completions.rewards(beta), to_floats(desirable, "desirable") != 0
    if rewards.shape != good.shape:
        raise ValueError(f"{len(rewards)} completions but {len(good)} labels")
    # The sign of the reward is right where it is that of the thumb.
    accuracy = proportion(wins(rewards * (2.0 * good - 1.0)))
    # NaN where one of the two groups is missing: there is nothing to tell apart.
    auc = area_under_curve(rewards[good], rewards[~good])
    groups = {"desirable": good, "undesirable": ~good}
    return HeldOut(
        kind="binary",
        count=len(rewards),
        facts={"beta": beta, **{name: None for name, who in groups.items() if not who.any()}},
        measures=(
            Measure(
                "accuracy",
                accuracy,
                "share",
                "accuracy by sign of the implicit reward",
                figure=chance_figure("held-out accuracy", accuracy),
            ),
            Measure(
                "auc",
                auc,
                "share",
                "AUC of the implicit reward",
                figure=chance_figure("held-out AUC", auc, in_verdict=False),
            ),
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
                ("undesirable", rewards[~good]),
                ("desirable", rewards[good]),
            ),
        ),
    )


def thumbs_of(examples: Sequence[Example]) -> list[float]:
    """Return 1 for every wanted example and 0 for the others, those without a label included."""
    return [float(bool(example.label)) for example in examples]


KIND = ScoredKind(
    feedback=("binary",),
    inputs=BinaryScores,
    assemble=assemble,
    metrics=metrics,
    measure=lambda logps, examples, beta: measure_thumbs(logps, thumbs_of(examples), beta),
)
