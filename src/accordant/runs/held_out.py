"""What training did to held-out records: their scores before and after, measured by their kind.

Knows the engine and examples in tokens. Knows nothing of kinds, files or of training.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from accordant.objectives.held_out import HeldOutLogps
from accordant.objectives.kinds import SCORED_KINDS
from accordant.scoring.engine import score_all
from accordant.scoring.scores import Scores
from accordant.statistics.measures import HeldOut
from accordant.tokens.examples import Example


def held_out_scores(model: nn.Module, examples: Sequence[Example], budget: int) -> Scores:
    """Score the examples' own answers (not those attached to them), example by example."""
    return score_all(model, [tree for e in examples for tree in e.own_trees], budget)


def measure_held_out(
    examples: Sequence[Example], start: Scores, end: Scores, beta: float
) -> HeldOut | None:
    """Compare scores before and after training, as the kind of feedback allows.

    Args:
        examples: held-out examples of one kind, at least one.
        start: their scores before the first step.
        end: their scores after the last one.
        beta: factor from log-ratios to implicit rewards.

    Returns:
        None for kinds that no loss uses, such as ratings and steps.
    """
    kind = SCORED_KINDS.get(examples[0].kind)
    if kind is None:
        return None
    return kind.measure(HeldOutLogps(end.sum(), start.sum(), start.lengths), examples, beta)
