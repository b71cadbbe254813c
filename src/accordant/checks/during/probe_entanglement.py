"""Probe pairs whose two answers move together as training goes on."""

from __future__ import annotations

from accordant.checks.findings import Outcome, Scale
from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import check
from accordant.checks.run_history import RunHistory, Snapshot
from accordant.statistics.charts import Mark
from accordant.statistics.estimates import proportion
from accordant.statistics.interval import Interval

TITLE, LIMIT = "Gradient entanglement of the probe pairs", 0.5


@check(
    name="probe-entanglement",
    title=TITLE,
    when="during",
    feedback=("comparison",),
    paper="arXiv:2410.13828 A Common Pitfall of Margin-based Language Model Alignment",
    scale=Scale(
        "more than half of the pairs: the usual pair then moves the wrong way (Yuan et al. 2024)",
        above={LIMIT: "info"},
        surely_above={LIMIT: "warning"},
    ),
)
def probe_entanglement(history: RunHistory) -> Outcome:
    """Share of probe pairs on which a small step would not move both answers the right way.

    For losses of a margin, chosen rises iff <g_w, g_l> < ||g_w||^2 and rejected falls iff
    <g_w, g_l> < ||g_l||^2; the gradients are those of the last layer (`checks.gradients`).
    """
    last = history.last
    if not last.chosen_stays:
        raise NotApplicableError("no gradients of probe pairs were measured")
    # Losses of a margin have equal slopes for both answers, which cancel out of the conditions.
    number = _share(last)
    both = proportion([float(a and b) for a, b in _pairs(last)])
    return Outcome(
        "probe pairs that would not move both answers the right way",
        number,
        f"A small step on each of {number.count} probe pairs would leave its chosen answer no "
        f"likelier, or its rejected one no less likely, in {number.estimate:.0%}.",
        "`accordant check --only gradient-entanglement` names the pairs and tokens; a loss that is "
        "no function of the margin alone (rpo, cpo) pulls the answers apart.",
        unit="share",
        measures={"pairs that break both conditions": both},
        charts=(
            history.chart(
                TITLE,
                "A rising line means that the pairs get harder to pull apart.",
                "share of probe pairs",
                {"either condition broken": lambda now: _share(now).estimate},
                Mark(LIMIT, "threshold", vertical=False),
            ),
        ),
    )


def _pairs(snapshot: Snapshot) -> list[tuple[bool, bool]]:
    return list(zip(snapshot.chosen_stays, snapshot.rejected_stays, strict=True))


def _share(snapshot: Snapshot) -> Interval:
    """Return the share of pairs that break either condition."""
    return proportion([float(a or b) for a, b in _pairs(snapshot)])
