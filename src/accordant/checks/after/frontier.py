"""What the judge's approval has cost in divergence, against choosing the best of k answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accordant.checks.after._sampled import SAMPLED, Answers, Listed, Sampled, number_table
from accordant.checks.findings import Outcome, Scale, Severity
from accordant.checks.inputs import CheckInputs
from accordant.checks.registry import check
from accordant.statistics.best_of import best_of_divergence, best_of_win_rates, win_rate_over
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.estimates import bootstrap_mean, bootstrap_ratio, bootstrap_statistic

if TYPE_CHECKING:
    from accordant.statistics.arrays import Floats, Integers
    from accordant.statistics.interval import Interval

SCALE = Scale(
    "the best of k answers of the reference, which no training is needed for (Gao et al. 2023; its "
    "divergence after Beirami et al. 2024)",
    surely_below={0.0: "warning"},
)
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class _Points:
    """Prompt by prompt: divergence and win rate of the model, win rates of the best of k.

    Args:
        divergence: KL(model || reference), nats an answer, `[prompts]`.
        wins: of the model over the reference, `[prompts]`.
        best_of: of the best of k = 1 to n - 1 answers of the reference, `[prompts, n - 1]`.
        costs: divergence of the best of k, `[n - 1]`.
    """

    divergence: Floats
    wins: Floats
    best_of: Floats
    costs: Floats

    def gaps(self, rows: Integers) -> Floats:
        """Subtract the win rate of the best of k at the same divergence, `[r, prompts] -> [r]`.

        Beyond the largest k its win rate is held against: the frontier there can only be higher.
        """
        spent = self.divergence[rows].mean(1)
        frontier = self.best_of[rows].mean(1)
        there = [np.interp(x, self.costs, line) for x, line in zip(spent, frontier, strict=True)]
        return self.wins[rows].mean(1) - np.array(there)


@check(
    name="frontier",
    title="Win rate against divergence",
    when="after",
    reads=(SAMPLED,),
    paper="arXiv:2210.10760 Scaling Laws for Reward Model Overoptimization; arXiv:2401.01879 "
    "Theoretical Guarantees on the Best-of-n Alignment Policy",
    scale=SCALE,
)
def frontier(_: CheckInputs, sampled: Sampled) -> Outcome:
    """Whether the judge's approval could be had nearer the reference.

    The model's win rate over its reference, and its divergence from it, stand beside those of the
    best of k answers of the reference under the same judge. Raised where the model's win rate lies
    measurably below: the same approval costs less divergence by choosing among answers, so the
    training has bought something the judge does not see, or has broken something.
    """
    points = _points(sampled)
    gap = bootstrap_statistic(points.gaps, len(sampled.prompts))
    wins, divergence = bootstrap_mean(points.wins), bootstrap_mean(points.divergence)
    severity = SCALE.severity(gap)
    # Not `<=`: an interval that is not known (NaN) is no improvement either.
    if severity == "ok" and not wins.low > 0.5:
        severity = "info"
    return Outcome(
        "win rate minus that of the reference's best of k at the same divergence",
        gap,
        f"By the judge {sampled.judge} {_says(points, wins, divergence, severity)}",
        "Look at what the answers gained instead of approval. A smaller learning rate or a larger "
        "beta spends less divergence; if the judge is what counts, best of k of the reference does "
        "as well without training."
        if severity == "warning"
        else "",
        unit="share",
        severity=severity,
        rows=sampled.rows(_far_and_no_better)[:_SHOWN],
        row_unit="nats",
        concerned=len(sampled.prompts),
        measures=_measures(sampled, points, wins, divergence),
        charts=(_chart(points, wins, divergence),),
    )


def _points(sampled: Sampled) -> _Points:
    ours, theirs = (
        number_table(side, "score") for side in (sampled.by_model, sampled.by_reference)
    )
    best_of = np.array([best_of_win_rates(scores) for scores in theirs])
    return _Points(
        divergence=number_table(sampled.by_model, "divergence").mean(1),
        wins=np.array([win_rate_over(*both) for both in zip(ours, theirs, strict=True)]),
        best_of=best_of,
        costs=np.array([best_of_divergence(k) for k in range(1, best_of.shape[1] + 1)]),
    )


def _says(points: _Points, wins: Interval, divergence: Interval, severity: Severity) -> str:
    count = len(points.costs)
    best = points.best_of.mean(0)
    enough = next((k for k in range(1, count + 1) if best[k - 1] >= wins.estimate), None)
    if enough is None:
        held = (
            f"No best of up to {count} answers of the reference does as well (best of {count}: "
            f"{best[-1]:.0%} at {points.costs[-1]:.2f} nats)."
        )
    elif enough == 1:
        held = "That is no more than the reference's own answers do against each other."
    else:
        held = (
            f"The best of {enough} answers of the reference does as well, at "
            f"{points.costs[enough - 1]:.2f} nats."
        )
    ends = {
        "warning": " So the model is further from its reference than this approval needs.",
        "info": " An improvement is not measurable with so many prompts.",
    }
    return (
        f"the model's answers beat the reference's in {wins.estimate:.0%} of comparisons, at a "
        f"divergence of {divergence.estimate:.2f} nats an answer. {held}{ends.get(severity, '')}"
    )


def _far_and_no_better(ours: Answers, theirs: Answers) -> Listed | None:
    """List the answer that went furthest from the reference, unless it beats it."""
    worst = max(ours, key=lambda answer: answer.divergence)
    usual = sorted(answer.score for answer in theirs)[len(theirs) // 2]
    if worst.score > usual:
        return None
    note = f"judge: {worst.score:g}, the reference's median {usual:g}"
    shown = {"answer of the model": worst, "answer of the reference": theirs[0]}
    return worst.divergence, note, shown


def _measures(
    sampled: Sampled, points: _Points, wins: Interval, divergence: Interval
) -> dict[str, Interval | tuple[Interval, str]]:
    after, before = (
        number_table(side, "tokens").mean(1) for side in (sampled.by_model, sampled.by_reference)
    )
    best = [k for k in (2, 4, 8, 16, 32) if k <= len(points.costs)]
    return {
        "win rate over the reference": wins,
        "divergence from the reference, an answer": (divergence, "nats"),
        "divergence, a token": (bootstrap_ratio(points.divergence, after), "nats"),
        "tokens an answer, model": (bootstrap_mean(after), "tokens"),
        "tokens an answer, reference": (bootstrap_mean(before), "tokens"),
        **{f"win rate, best of {k}": bootstrap_mean(points.best_of[:, k - 1]) for k in best},
    }


def _chart(points: _Points, wins: Interval, divergence: Interval) -> Chart:
    return Chart(
        "lines",
        "What approval costs",
        "Above the line the model earns more approval for its divergence than choosing the best "
        "of k answers does; below it less.",
        "divergence from the reference, nats an answer",
        "win rate over the reference",
        (
            Series(
                "best of k answers of the reference",
                tuple(points.best_of.mean(0).tolist()),
                tuple(points.costs.tolist()),
                labels=tuple(f"best of {k}" for k in range(1, len(points.costs) + 1)),
            ),
            Series.of_intervals("the model", [wins], xs=[divergence.estimate]),
        ),
        (Mark(0.5, "as good as the reference", vertical=False),),
    )
