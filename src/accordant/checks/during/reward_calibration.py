"""Implicit rewards that are surer of themselves than they are right."""

from __future__ import annotations

import math
from statistics import fmean

from accordant.checks.findings import Outcome, Scale
from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import check
from accordant.checks.run_history import RunHistory, Snapshot, changes
from accordant.statistics.charts import Mark
from accordant.statistics.estimates import bootstrap_mean, proportion


@check(
    name="reward-calibration",
    title="Calibration of the implicit reward",
    when="during",
    feedback=("comparison",),
    paper="arXiv:2305.18290 Direct Preference Optimization",
    scale=Scale(
        "chosen here: sure of one pair in ten more than it ranks right",
        surely_above={0.1: "warning"},
    ),
)
def reward_calibration(history: RunHistory) -> Outcome:
    """How much surer the implicit reward is of the probe pairs than it is right about them.

    With the margin m = beta ((log pi(w) - log ref(w)) - (log pi(l) - log ref(l))), Bradley and
    Terry's model puts sigmoid(|m|) on the answer it prefers: its confidence. Confidence minus
    accuracy (m > 0 right, m = 0 half) is above 0 where the reward is overconfident. Pairs that are
    trained on are fitted, so that only pairs that were held out can tell.
    """
    if not history.start.chosen:
        raise NotApplicableError("there are no probe pairs")
    margins = _margins(history, history.last)
    right = [_right(margin) for margin in margins]
    number = bootstrap_mean([_sure(m) - r for m, r in zip(margins, right, strict=True)])
    sure = bootstrap_mean([_sure(margin) for margin in margins])
    return Outcome(
        "confidence minus accuracy of the implicit reward",
        number,
        f"The implicit reward ranks {fmean(right):.0%} of {len(right)} probe pairs right and is "
        f"{sure.estimate:.0%} sure of its choices.",
        "Smooth the labels (option.label_smoothing), raise beta, or stop earlier.",
        unit="share",
        measures={"accuracy of the implicit reward": proportion(right), "its confidence": sure},
        charts=(
            history.chart(
                "Confidence and accuracy",
                "Confidence above accuracy is overconfidence.",
                "share of probe pairs",
                {
                    "confidence": lambda now: fmean(map(_sure, _margins(history, now))),
                    "accuracy": lambda now: fmean(map(_right, _margins(history, now))),
                },
                Mark(0.5, "chance", vertical=False),
            ),
        ),
    )


def _margins(history: RunHistory, now: Snapshot) -> tuple[float, ...]:
    up = changes(now.chosen, history.start.chosen)
    down = changes(now.rejected, history.start.rejected)
    return tuple(history.beta * (a - b) for a, b in zip(up, down, strict=True))


def _sure(margin: float) -> float:
    # Of the answer it prefers, right or wrong: never below one half.
    return 1 / (1 + math.exp(-abs(margin)))


def _right(margin: float) -> float:
    return float(margin > 0) + 0.5 * (margin == 0)
