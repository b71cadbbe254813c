"""Chosen answers that get less likely while the margin grows."""

from __future__ import annotations

from statistics import fmean

from accordant.checks.findings import Outcome, Scale
from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import check
from accordant.checks.run_history import RunHistory, changes
from accordant.statistics.charts import Mark
from accordant.statistics.estimates import bootstrap_mean, proportion

SCALE = Scale(
    "the chosen answer is to gain probability (Razin et al. 2024); serious from a tenth lost",
    surely_below={0.0: "warning"},
)
_SERIOUS = 0.1


@check(
    name="displacement",
    title="Likelihood displacement",
    when="during",
    feedback=("comparison",),
    paper="arXiv:2410.08847 Unintentional Unalignment: Likelihood Displacement in Direct "
    "Preference Optimization",
    scale=SCALE,
)
def displacement(history: RunHistory) -> Outcome:
    """How far the chosen and rejected answers of the probe pairs have moved since the start.

    Raised where the interval of the chosen answers' mean change lies below 0; serious where they
    lost more than a tenth of their log-probability at the start.
    """
    start, last = history.start, history.last
    if not start.chosen:
        raise NotApplicableError("there are no probe pairs")
    chosen = changes(last.chosen, start.chosen)
    rejected = changes(last.rejected, start.rejected)
    number, other = bootstrap_mean(chosen), bootstrap_mean(rejected)
    # An answer that did not move counts half, as a tie does everywhere.
    fell = proportion([float(change < 0) + 0.5 * (change == 0) for change in chosen])
    severity = SCALE.severity(number)
    raised = severity != "ok"
    # Log-probabilities are negative: a tenth lost lies below a tenth of them.
    if raised and number.estimate < _SERIOUS * fmean(start.chosen):
        severity = "serious"
    moved = "fell" if raised else "rose" if number.low > 0 else "did not measurably move"
    by = f" by {abs(number.estimate):.2f} nats" if raised or number.low > 0 else ""
    return Outcome(
        "change of the chosen answers' log-probability since the start, a sequence",
        number,
        f"The chosen answers {moved}{by} over {len(chosen)} probe pairs; the rejected ones changed "
        f"by {other.estimate:+.2f}."
        + (" What they lost has gone to answers nobody asked for." if raised else ""),
        "Add an SFT term (cpo), lower the learning rate, or leave out the pairs that `accordant "
        "check --only ches --filter` names.",
        unit="nats",
        severity=severity,
        measures={
            "change of the rejected answers' log-probability": other,
            "pairs whose chosen answer fell": (fell, "share"),
        },
        charts=(
            history.chart(
                "Chosen and rejected answers",
                "Both falling means that probability goes to neither.",
                "change of log-probability, nats a sequence",
                {
                    "chosen": lambda now: fmean(changes(now.chosen, start.chosen)),
                    "rejected": lambda now: fmean(changes(now.rejected, start.rejected)),
                },
                Mark(0.0, "the start", vertical=False),
            ),
        ),
    )
