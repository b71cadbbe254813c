"""Which pairs training has turned: ranked right or wrong before, and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accordant.checks.findings import Outcome, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.pair_pass import PAIRS, REFERENCE_LOGPS, PairPass, pair_row
from accordant.checks.ranking import PairLogps, ranked_right
from accordant.checks.registry import check
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.estimates import paired_difference, proportion

if TYPE_CHECKING:
    from accordant.checks.findings import Severity
    from accordant.statistics.interval import Interval

STAY_WRONG = 0.05  # share of pairs, as in the check of ranking accuracy before training
SCALE = Scale(
    "training on preferences is to turn more pairs right than wrong", surely_below={0.0: "serious"}
)
ENDS = {
    "serious": " Training made the rankings worse.",
    "warning": " So the margins were learnt, but not the rankings: it would not say so.",
}
MENDS = {
    "serious": "Look at the rows: if their labels are right, lower the learning rate; if they are "
    "wrong, mend the labels.",
    "warning": "Pairs that start far on the wrong side need a loss near 0 to turn (`accordant "
    "check --only ranking-accuracy` names them): a smaller beta, longer training, or training on "
    "the chosen answers first.",
}


@check(
    name="ranking-change",
    title="Rankings before and after",
    when="after",
    reads=(PAIRS, REFERENCE_LOGPS),
    feedback=("comparison", "joint_pair", "ranking"),
    paper="arXiv:2405.19534 Preference Learning Algorithms Do Not Learn Preference Rankings",
    scale=SCALE,
    shown=(10, "rows listed."),
)
def ranking_change(inputs: CheckInputs, by_model: PairPass, before: PairLogps) -> Outcome:
    """How many pairs the model ranks right that its reference did not, and the other way round.

    A pair is ranked right where the chosen answer is likelier than the rejected one; ties count
    half. Serious where the share of such pairs fell measurably. A warning where it did not
    measurably rise, more than one pair in twenty is measurably still wrong, and implicit rewards
    tell the answers apart: the margins were learnt, the rankings were not.
    """
    after = by_model.logps
    number = paired_difference(before.right, after.right)
    severity = SCALE.severity(number)
    # Not `<=`: an interval that is not known (NaN) shows no rise either.
    if severity == "ok" and not number.low > 0:
        severity = _not_risen(before, after)
    change = after.gaps - before.gaps
    rows = [
        pair_row(
            inputs,
            by_model.pairs[place],
            float(change[place]),
            f"gap {float(before.gaps[place]):+.2f} before, {float(after.gaps[place]):+.2f} after",
        )
        for place in change.argsort(stable=True).tolist()
        if before.gaps[place] > 0 > after.gaps[place]
    ]
    chart = Chart(
        "points",
        "Every pair before and after",
        "Above the line the model ranks a pair right; left of the upright line its reference "
        "ranked it wrong. Pairs at the top left were turned right, those at the bottom right "
        "wrong.",
        "chosen minus rejected before, nats",
        "chosen minus rejected after, nats",
        (Series("pairs", tuple(after.gaps.tolist()), tuple(before.gaps.tolist())),),
        (Mark(0.0, "as likely before"), Mark(0.0, "as likely after", vertical=False)),
    )
    return Outcome(
        "ranking accuracy after training minus before",
        number,
        _says(before, after) + ENDS.get(severity, ""),
        MENDS.get(severity, ""),
        unit="share",
        severity=severity,
        rows=rows,
        row_unit="nats",
        measures=_measures(before, after),
        charts=(chart,),
    )


def _not_risen(before: PairLogps, after: PairLogps) -> Severity:
    """Warn where implicit rewards are right about pairs that stay wrong."""
    wrong = proportion(1 - after.right)
    rewarded = proportion(ranked_right(after.gaps - before.gaps))
    return "warning" if rewarded.low > 0.5 and wrong.low > STAY_WRONG else "info"


def _says(before: PairLogps, after: PairLogps) -> str:
    old, new = (float(logps.right.mean()) for logps in (before, after))
    rewarded = float(ranked_right(after.gaps - before.gaps).mean())
    turned = int(((before.gaps <= 0) & (after.gaps > 0)).sum())
    lost = int(((before.gaps > 0) & (after.gaps <= 0)).sum())
    return (
        f"The chosen answer is the likelier one in {new:.0%} of {len(after.gaps):,} pairs, before "
        f"training in {old:.0%}. Turned right: {turned:,}; turned wrong: {lost:,}. By its implicit "
        f"reward {rewarded:.0%} are right."
    )


def _measures(before: PairLogps, after: PairLogps) -> dict[str, Interval | tuple[Interval, str]]:
    rights = {
        "ranking accuracy before": before.gaps,
        "ranking accuracy after": after.gaps,
        "ranking accuracy before, per token": before.gaps_per_token,
        "ranking accuracy after, per token": after.gaps_per_token,
        "accuracy of the implicit reward": after.gaps - before.gaps,
    }
    chosen = paired_difference(before.chosen, after.chosen)
    rejected = paired_difference(before.rejected, after.rejected)
    return {
        **{name: proportion(ranked_right(gaps)) for name, gaps in rights.items()},
        "change of the chosen answers' log-probability": (chosen, "nats"),
        "change of the rejected answers' log-probability": (rejected, "nats"),
    }
