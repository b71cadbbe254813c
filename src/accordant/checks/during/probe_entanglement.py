"""MonitorSet pairs whose two answers move together as training goes on."""

from __future__ import annotations

from accordant.checks.findings import (
    Chart,
    Finding,
    Mark,
    Measure,
    Series,
    Severity,
    Threshold,
)
from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import check
from accordant.checks.run_history import RunHistory, Snapshot
from accordant.statistics.estimates import proportion
from accordant.statistics.interval import Interval

TITLE = "Gradient entanglement of the probe pairs"
THRESHOLD = Threshold(
    0.5, "more than half of the pairs: the usual pair then moves the wrong way (Yuan et al. 2024)"
)


@check(
    name="probe-entanglement",
    title=TITLE,
    when="during",
    feedback=("comparison",),
    paper="arXiv:2410.13828 A Common Pitfall of Margin-based Language Model Alignment",
)
def probe_entanglement(history: RunHistory) -> Finding:
    """Share of probe pairs on which a small step would not move both answers the right way.

    For losses of a margin, chosen rises iff <g_w, g_l> < ||g_w||^2 and rejected falls iff
    <g_w, g_l> < ||g_l||^2; the gradients are those of the last layer (`checks.gradients`).

    Args:
        history: with the conditions of probe pairs.

    Raises:
        NotApplicableError: none were measured.
    """
    last = history.last
    if not last.chosen_stays:
        raise NotApplicableError("no gradients of probe pairs were measured")
    number = proportion([float(a or b) for a, b in _pairs(last)])
    severity = _severity(number)
    both = proportion([float(a and b) for a, b in _pairs(last)])
    return Finding(
        check="probe-entanglement",
        title=TITLE,
        severity=severity,
        quantity="probe pairs that would not move both answers the right way",
        number=number,
        unit="share",
        sentence=f"A small step on each of {number.count} probe pairs would leave its chosen "
        f"answer no likelier, or its rejected one no less likely, in {number.estimate:.0%}.",
        mend="`accordant check --only gradient-entanglement` names the pairs and tokens; a loss "
        "that is no function of the margin alone (rpo, cpo) pulls the answers apart."
        if severity != "ok"
        else "",
        threshold=THRESHOLD,
        measures=(Measure("pairs that break both conditions", both, "share"),),
        charts=(
            Chart(
                "lines",
                TITLE,
                "A rising line means that the pairs get harder to pull apart.",
                "step",
                "share of probe pairs",
                (Series("either condition broken", history.over_steps(_share), history.steps),),
                (Mark(THRESHOLD.value, "threshold", vertical=False),),
            ),
        ),
        step=last.step,
    )


def _severity(number: Interval) -> Severity:
    if not number.estimate > THRESHOLD.value:
        return "ok"
    return "warning" if number.low > THRESHOLD.value else "info"


def _pairs(one: Snapshot) -> list[tuple[bool, bool]]:
    return list(zip(one.chosen_stays, one.rejected_stays, strict=True))


def _share(one: Snapshot) -> float:
    return proportion([float(a or b) for a, b in _pairs(one)]).estimate
