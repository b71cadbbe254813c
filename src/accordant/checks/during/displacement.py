"""Chosen answers that get less likely while the margin grows."""

from __future__ import annotations

from statistics import fmean

from accordant.checks.findings import Chart, Finding, Mark, Measure, Series, Threshold
from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import check
from accordant.checks.run_history import RunHistory, changes
from accordant.statistics.estimates import bootstrap_mean, proportion

TITLE = "Likelihood displacement"
THRESHOLD = Threshold(
    0.0, "the chosen answer is to gain probability (Razin et al. 2024); serious from a tenth lost"
)
_SERIOUS = 0.1


@check(
    name="displacement",
    title=TITLE,
    when="during",
    feedback=("comparison",),
    paper="arXiv:2410.08847 Unintentional Unalignment: Likelihood Displacement in Direct "
    "Preference Optimization",
)
def displacement(history: RunHistory) -> Finding:
    """How far the chosen and rejected answers of the probe pairs have moved since the start.

    Raised where the interval of the chosen answers' mean change lies below 0; serious where they
    lost more than a tenth of their log-probability at the start.

    Args:
        history: with probe pairs.

    Raises:
        NotApplicableError: there are no pairs.
    """
    start, last = history.start, history.last
    if not start.chosen:
        raise NotApplicableError("there are no probe pairs")
    chosen = changes(last.chosen, start.chosen)
    rejected = changes(last.rejected, start.rejected)
    number, other = bootstrap_mean(chosen), bootstrap_mean(rejected)
    fell = proportion([float(one < 0) + 0.5 * (one == 0) for one in chosen])
    raised = number.high < THRESHOLD.value
    serious = number.estimate < _SERIOUS * fmean(start.chosen)
    moved = "fell" if raised else "rose" if number.low > 0 else "did not measurably move"
    by = f" by {abs(number.estimate):.2f} nats" if raised or number.low > 0 else ""
    return Finding(
        check="displacement",
        title=TITLE,
        severity="ok" if not raised else "serious" if serious else "warning",
        quantity="change of the chosen answers' log-probability since the start, a sequence",
        number=number,
        unit="nats",
        sentence=f"The chosen answers {moved}{by} over {len(chosen)} probe pairs; the rejected "
        f"ones changed by {other.estimate:+.2f}."
        + (" What they lost has gone to answers nobody asked for." if raised else ""),
        mend="Add an SFT term (rpo), lower the learning rate, or leave out the pairs that "
        "`accordant check --only ches --filter` names."
        if raised
        else "",
        threshold=THRESHOLD,
        measures=(
            Measure("change of the rejected answers' log-probability", other, "nats"),
            Measure("pairs whose chosen answer fell", fell, "share"),
        ),
        charts=(_chart(history),),
        step=last.step,
    )


def _chart(history: RunHistory) -> Chart:
    start = history.start
    return Chart(
        "lines",
        "Chosen and rejected answers",
        "Both falling means that probability goes to neither.",
        "step",
        "change of log-probability, nats a sequence",
        (
            Series(
                "chosen",
                history.over_steps(lambda one: fmean(changes(one.chosen, start.chosen))),
                history.steps,
            ),
            Series(
                "rejected",
                history.over_steps(lambda one: fmean(changes(one.rejected, start.rejected))),
                history.steps,
            ),
        ),
        (Mark(0.0, "the start", vertical=False),),
    )
