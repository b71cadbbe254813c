"""Which pairs training has turned: ranked right or wrong before, and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accordant.base.options import Count
from accordant.checks.findings import (
    Chart,
    Finding,
    FindingRow,
    Mark,
    Measure,
    Series,
    Severity,
    Threshold,
)
from accordant.checks.inputs import CheckInputs
from accordant.checks.pair_pass import (
    cost_of_both,
    pair_pass,
    pair_row,
    reference_logps,
)
from accordant.checks.registry import check

if TYPE_CHECKING:
    from accordant.checks.ranking import PairLogps

TITLE = "Rankings before and after"
STAY_WRONG = 0.05  # share of pairs, as in the check of ranking accuracy before training
THRESHOLD = Threshold(0.0, "training on preferences is to turn more pairs right than wrong")


@check(
    name="ranking-change",
    title=TITLE,
    when="after",
    needs=("model", "reference"),
    feedback=("comparison", "joint_pair", "ranking"),
    paper="arXiv:2405.19534 Preference Learning Algorithms Do Not Learn Preference Rankings",
    cost=cost_of_both,
)
def ranking_change(inputs: CheckInputs, *, shown: Count = 10) -> Finding:
    """How many pairs the model ranks right that its reference did not, and the other way round.

    A pair is ranked right where the chosen answer is likelier than the rejected one; ties count
    half. Serious where the share of such pairs fell measurably. A warning where it did not
    measurably rise, more than one pair in twenty is measurably still wrong, and implicit rewards
    tell the answers apart: the margins were learnt, the rankings were not.

    Args:
        shown: rows listed.

    Raises:
        NotApplicableError: no record states a preference.
    """
    from accordant.checks.ranking import ranked_right
    from accordant.statistics.estimates import paired_difference, proportion

    after, before = pair_pass(inputs).logps, reference_logps(inputs)
    right = ranked_right(after.gaps)
    number = paired_difference(ranked_right(before.gaps), right)
    rewarded = proportion(ranked_right(after.gaps - before.gaps))
    severity: Severity = "serious" if number.high < THRESHOLD.value else "ok"
    if severity == "ok" and not number.low > THRESHOLD.value:
        wrong = proportion(1 - right)
        margins_alone = rewarded.low > 0.5 and wrong.low > STAY_WRONG
        severity = "warning" if margins_alone else "info"
    return Finding(
        check="ranking-change",
        title=TITLE,
        severity=severity,
        quantity="ranking accuracy after training minus before",
        number=number,
        unit="share",
        sentence=_sentence(before, after, severity),
        mend=_mend(severity),
        threshold=THRESHOLD,
        rows=_rows(inputs, before, after, shown),
        row_unit="nats",
        concerned=int(((before.gaps > 0) & (after.gaps < 0)).sum()),
        measures=_measures(before, after),
        charts=(_chart(before, after),),
    )


def _sentence(before: PairLogps, after: PairLogps, severity: Severity) -> str:
    from accordant.checks.ranking import ranked_right

    old, new = (float(ranked_right(one.gaps).mean()) for one in (before, after))
    rewarded = float(ranked_right(after.gaps - before.gaps).mean())
    turned = int(((before.gaps <= 0) & (after.gaps > 0)).sum())
    lost = int(((before.gaps > 0) & (after.gaps <= 0)).sum())
    told = (
        f"The chosen answer is the likelier one in {new:.0%} of {len(after.gaps):,} pairs, before "
        f"training in {old:.0%}. Turned right: {turned:,}; turned wrong: {lost:,}. By its implicit "
        f"reward {rewarded:.0%} are right."
    )
    if severity == "serious":
        return told + " Training made the rankings worse."
    if severity == "warning":
        return told + " So the margins were learnt, but not the rankings: it would not say so."
    return told


def _mend(severity: Severity) -> str:
    if severity == "serious":
        return "Look at the rows: if their labels are right, lower the learning rate; if they are "
        "wrong, mend the labels."
    if severity == "warning":
        return (
            "Pairs that start far on the wrong side need a loss near 0 to turn "
            "(`accordant check --only ranking-accuracy` names them): a smaller beta, longer "
            "training, or training on the chosen answers first."
        )
    return ""


def _rows(
    inputs: CheckInputs, before: PairLogps, after: PairLogps, shown: int
) -> tuple[FindingRow, ...]:
    """Pairs that were ranked right and are no more, the furthest fallen first."""
    pairs = pair_pass(inputs).pairs
    change = after.gaps - before.gaps
    return tuple(
        pair_row(
            inputs,
            pairs[place],
            float(change[place]),
            f"gap {float(before.gaps[place]):+.2f} before, {float(after.gaps[place]):+.2f} after",
        )
        for place in change.argsort(stable=True).tolist()
        if before.gaps[place] > 0 > after.gaps[place]
    )[:shown]


def _measures(before: PairLogps, after: PairLogps) -> tuple[Measure, ...]:
    from accordant.checks.ranking import ranked_right
    from accordant.statistics.estimates import paired_difference, proportion

    rights = (
        ("ranking accuracy before", before.gaps),
        ("ranking accuracy after", after.gaps),
        ("ranking accuracy before, per token", before.gaps_per_token),
        ("ranking accuracy after, per token", after.gaps_per_token),
        ("accuracy of the implicit reward", after.gaps - before.gaps),
    )
    changes = (
        ("change of the chosen answers' log-probability", before.chosen, after.chosen),
        ("change of the rejected answers' log-probability", before.rejected, after.rejected),
    )
    return (
        *(Measure(name, proportion(ranked_right(gaps)), "share") for name, gaps in rights),
        *(Measure(name, paired_difference(old, new), "nats") for name, old, new in changes),
    )


def _chart(before: PairLogps, after: PairLogps) -> Chart:
    return Chart(
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
