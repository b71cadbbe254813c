"""What records must say beyond their type: votes and reward gaps, from the data itself.

Knows records. Rendering has put what they say into `Example.numbers`; here they are checked, before
anything is tokenised.
"""

from __future__ import annotations

from collections.abc import Sequence

from accordant.base.errors import UserError
from accordant.feedback.loading import Feedback
from accordant.objectives.preparations import Detail, RewardGaps
from accordant.objectives.registry import Objective
from accordant.training.preparations.mechanism import Workbench, prepares


def check(need: Detail, bench: Workbench) -> None:
    """Make sure that records say what the objective needs to know.

    Raises:
        UserError: none of them does, or not all where all must; or scores put the rejected answers
            above the chosen ones.
    """
    for feedback in bench.feedback:
        _check_part(need, bench.objective, feedback)


def _check_part(need: Detail, objective: Objective, feedback: Feedback) -> None:
    values = [getattr(record, need.attaches, None) for record in feedback.records]
    lacking = [r for r, value in zip(feedback.records, values, strict=True) if value is None]
    everywhere = not need.optional
    if lacking and (everywhere or len(lacking) == len(values)):
        raise UserError(
            f"objective {objective.name!r} needs {need.column}, and {len(lacking):,} of "
            f"{len(values):,} records have none.",
            where=str(lacking[0].origin or feedback.source) if everywhere else feedback.source,
            mend=f"{need.how} `--columns FIELD=COLUMN` names columns called otherwise.",
        )
    if isinstance(need, RewardGaps):
        _check_gaps(objective, [gap for gap in values if gap is not None], feedback.source)


def _check_gaps(objective: Objective, gaps: Sequence[float], where: str) -> None:
    against = sum(gap < 0 for gap in gaps)
    if 2 * against > len(gaps):
        raise UserError(
            f"objective {objective.name!r} scales with how much better the chosen answer is, but "
            f"{against:,} of {len(gaps):,} records score the rejected one higher.",
            where=where,
            mend="Exchange the two columns of scores, or change the sign of `margin`.",
        )


prepares(Detail, check=check)
