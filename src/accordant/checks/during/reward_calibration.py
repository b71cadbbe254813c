"""Implicit rewards that are surer of themselves than they are right."""

from __future__ import annotations

import math
from statistics import fmean

from accordant.checks.findings import Chart, Finding, Mark, Measure, Series, Threshold
from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import check
from accordant.checks.run_history import RunHistory, Snapshot, changes
from accordant.statistics.estimates import bootstrap_mean, proportion

TITLE = "Calibration of the implicit reward"
THRESHOLD = Threshold(0.1, "chosen here: sure of one pair in ten more than it ranks right")


@check(
    name="reward-calibration",
    title=TITLE,
    when="during",
    feedback=("comparison",),
    paper="arXiv:2305.18290 Direct Preference Optimization",
)
def reward_calibration(history: RunHistory) -> Finding:
    """How much surer the implicit reward is of the probe pairs than it is right about them.

    With the margin m = beta ((log pi(w) - log ref(w)) - (log pi(l) - log ref(l))), Bradley and
    Terry's model puts sigmoid(|m|) on the answer it prefers: its confidence. Confidence minus
    accuracy (m > 0 right, m = 0 half) is above 0 where the reward is overconfident. Pairs that are
    trained on are fitted, so that only pairs that were held out can tell.

    Args:
        history: with probe pairs.

    Raises:
        NotApplicableError: there are no pairs.
    """
    if not history.start.chosen:
        raise NotApplicableError("there are no probe pairs")
    margins = _margins(history, history.last)
    right = [_right(one) for one in margins]
    number = bootstrap_mean([_sure(m) - r for m, r in zip(margins, right, strict=True)])
    sure = bootstrap_mean([_sure(one) for one in margins])
    raised = number.low > THRESHOLD.value
    return Finding(
        check="reward-calibration",
        title=TITLE,
        severity="warning" if raised else "ok",
        quantity="confidence minus accuracy of the implicit reward",
        number=number,
        unit="share",
        sentence=f"The implicit reward ranks {fmean(right):.0%} of {len(right)} probe pairs "
        f"right and is {sure.estimate:.0%} sure of its choices.",
        mend="Smooth the labels (option.label_smoothing), raise beta, or stop earlier."
        if raised
        else "",
        threshold=THRESHOLD,
        measures=(
            Measure("accuracy of the implicit reward", proportion(right), "share"),
            Measure("its confidence", sure, "share"),
        ),
        charts=(_chart(history),),
        step=history.last.step,
    )


def _margins(history: RunHistory, now: Snapshot) -> tuple[float, ...]:
    up = changes(now.chosen, history.start.chosen)
    down = changes(now.rejected, history.start.rejected)
    return tuple(history.beta * (a - b) for a, b in zip(up, down, strict=True))


def _sure(margin: float) -> float:
    return 1 / (1 + math.exp(-abs(margin)))


def _right(margin: float) -> float:
    return float(margin > 0) + 0.5 * (margin == 0)


def _chart(history: RunHistory) -> Chart:
    all_margins = [_margins(history, one) for one in history.snapshots]
    return Chart(
        "lines",
        "Confidence and accuracy",
        "Confidence above accuracy is overconfidence.",
        "step",
        "share of probe pairs",
        (
            Series(
                "confidence",
                tuple(fmean(map(_sure, one)) for one in all_margins),
                history.steps,
            ),
            Series(
                "accuracy",
                tuple(fmean(map(_right, one)) for one in all_margins),
                history.steps,
            ),
        ),
        (Mark(0.5, "chance", vertical=False),),
    )
