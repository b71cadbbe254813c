"""What records must say beyond their type: votes and reward gaps, from the data itself.

Knows records. Rendering has put what they say into `Example.numbers`; here they are checked, before
anything is tokenised.
"""

from __future__ import annotations

from accordant.base.errors import UserError
from accordant.objectives.preparations import Detail, RewardGaps
from accordant.training.preparations.mechanism import prepares
from accordant.training.preparations.workbench import Workbench


def check_present(need: Detail, bench: Workbench) -> None:
    """Make sure that records say what the objective needs to know.

    Raises:
        UserError: none of them does, or not all where all must.
    """
    for feedback in bench.feedback:
        lacking = [r for r in feedback.records if getattr(r, need.attaches, None) is None]
        if not lacking or (need.optional and len(lacking) < len(feedback.records)):
            continue
        raise UserError(
            f"objective {bench.objective.name!r} needs {need.column}, and {len(lacking):,} of "
            f"{len(feedback.records):,} records have none.",
            # Where one record with votes is enough, no single row is at fault.
            where=feedback.source if need.optional else str(lacking[0].origin or feedback.source),
            mend=f"{need.how} `--columns FIELD=COLUMN` names columns called otherwise.",
        )


def check_gaps(need: RewardGaps, bench: Workbench) -> None:
    """Make sure that every record has scores, and most chosen answers the higher one.

    Raises:
        UserError: they do not.
    """
    check_present(need, bench)
    for feedback in bench.feedback:
        gaps = [getattr(record, need.attaches) for record in feedback.records]
        against = sum(gap < 0 for gap in gaps)
        if 2 * against > len(gaps):
            raise UserError(
                f"objective {bench.objective.name!r} scales with how much better the chosen answer "
                f"is, but {against:,} of {len(gaps):,} records score the rejected one higher.",
                where=feedback.source,
                mend="Exchange the two columns of scores, or change the sign of `margin`.",
            )


prepares(Detail, check=check_present)
prepares(RewardGaps, check=check_gaps)
