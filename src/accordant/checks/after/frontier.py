"""What the judge's approval has cost in divergence, against choosing the best of k answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accordant.checks.findings import Outcome, Scale, Severity
from accordant.checks.inputs import CheckInputs
from accordant.checks.registry import check
from accordant.checks.sampled_answers import SAMPLED, Listed, Sampled
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
# No option: these rows illustrate the number, and none is to be left out of the feedback.
_SHOWN = 10
_ENDS = {
    "warning": " So the model is further from its reference than this approval needs.",
    "info": " An improvement is not measurable with so many prompts.",
}


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

    @classmethod
    def of(cls, sampled: Sampled) -> _Points:
        """Hold the scores of both sides' answers against each other."""
        ours, theirs = sampled.by_model, sampled.by_reference
        best_of = np.array([best_of_win_rates(scores) for scores in theirs.scores])
        return cls(
            ours.divergences.mean(1),
            np.array(
                [win_rate_over(*both) for both in zip(ours.scores, theirs.scores, strict=True)]
            ),
            best_of,
            np.array([best_of_divergence(k) for k in range(1, best_of.shape[1] + 1)]),
        )

    def gaps(self, rows: Integers) -> Floats:
        """Subtract the win rate of the best of k at the same divergence, `[r, prompts] -> [r]`."""
        spent = self.divergence[rows].mean(1)
        frontier = self.best_of[rows].mean(1)
        # Beyond the largest k its win rate is held against: the frontier there can only be higher.
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
    points = _Points.of(sampled)
    gap = bootstrap_statistic(points.gaps, len(sampled.prompts))
    wins, divergence = bootstrap_mean(points.wins), bootstrap_mean(points.divergence)
    severity: Severity = SCALE.severity(gap)
    # Not `<=`: an interval that is not known (NaN) is no improvement either.
    if severity == "ok" and not wins.low > 0.5:
        severity = "info"
    tokens = [side.tokens.mean(1) for side in (sampled.by_model, sampled.by_reference)]
    return Outcome(
        "win rate minus that of the reference's best of k at the same divergence",
        gap,
        f"By the judge {sampled.judge} the model's answers beat the reference's in "
        f"{wins.estimate:.0%} of comparisons, at a divergence of {divergence.estimate:.2f} nats an "
        f"answer. {_held_against(points, wins.estimate)}{_ENDS.get(severity, '')}",
        "Look at what the answers gained instead of approval. A smaller learning rate or a larger "
        "beta spends less divergence; if the judge is what counts, best of k of the reference does "
        "as well without training."
        if severity == "warning"
        else "",
        unit="share",
        severity=severity,
        rows=sampled.rows(lambda place: _far_and_no_better(sampled, place))[:_SHOWN],
        row_unit="nats",
        concerned=len(sampled.prompts),
        measures={
            "win rate over the reference": wins,
            "divergence from the reference, an answer": (divergence, "nats"),
            "divergence, a token": (bootstrap_ratio(points.divergence, tokens[0]), "nats"),
            "tokens an answer, model": (bootstrap_mean(tokens[0]), "tokens"),
            "tokens an answer, reference": (bootstrap_mean(tokens[1]), "tokens"),
            **{
                f"win rate, best of {k}": bootstrap_mean(points.best_of[:, k - 1])
                for k in (2, 4, 8, 16, 32)
                if k <= len(points.costs)
            },
        },
        charts=(_chart(points, wins, divergence.estimate),),
    )


def _held_against(points: _Points, wins: float) -> str:
    """Say how many answers of the reference one must choose from to do as well."""
    best, costs = points.best_of.mean(0), points.costs
    enough = next((k for k, rate in enumerate(best, 1) if rate >= wins), None)
    if enough is None:
        return (
            f"No best of up to {len(best)} answers of the reference does as well (best of "
            f"{len(best)}: {best[-1]:.0%} at {costs[-1]:.2f} nats)."
        )
    if enough == 1:
        return "That is no more than the reference's own answers do against each other."
    return (
        f"The best of {enough} answers of the reference does as well, at {costs[enough - 1]:.2f} "
        "nats."
    )


def _far_and_no_better(sampled: Sampled, place: int) -> Listed | None:
    """List the answer that went furthest from the reference, unless it beats it."""
    ours, theirs = sampled.by_model, sampled.by_reference
    furthest = int(ours.divergences[place].argmax())
    score = ours.scores[place, furthest]
    usual = np.sort(theirs.scores[place])[len(theirs.scores[place]) // 2]
    if score > usual:
        return None
    note = f"judge: {score:g}, the reference's median {usual:g}"
    answers = {
        "answer of the model": ours.texts[place][furthest],
        "answer of the reference": theirs.texts[place][0],
    }
    return float(ours.divergences[place, furthest]), note, answers


def _chart(points: _Points, wins: Interval, divergence: float) -> Chart:
    best_of = Series(
        "best of k answers of the reference",
        tuple(points.best_of.mean(0).tolist()),
        tuple(points.costs.tolist()),
        labels=tuple(f"best of {k}" for k in range(1, len(points.costs) + 1)),
    )
    return Chart(
        "lines",
        "What approval costs",
        "Above the line the model earns more approval for its divergence than choosing the best "
        "of k answers does; below it less.",
        "divergence from the reference, nats an answer",
        "win rate over the reference",
        (best_of, Series.of_intervals("the model", [wins], xs=[divergence])),
        (Mark(0.5, "as good as the reference", vertical=False),),
    )
