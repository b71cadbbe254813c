"""What the judge's approval has cost in divergence, against choosing the best of k answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.checks.after._sampled import (
    PROMPTS,
    SAMPLES,
    TOKENS,
    Prompts,
    Sampled,
    Samples,
    Sampling,
    Tokens,
    cost_of_sampling,
    sample_both,
)
from accordant.checks.findings import (
    Chart,
    Finding,
    FindingRow,
    Mark,
    Measure,
    Passage,
    Series,
    Severity,
    Threshold,
)
from accordant.checks.inputs import CheckInputs
from accordant.checks.registry import check

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accordant.statistics.interval import Interval

TITLE = "Win rate against divergence"
THRESHOLD = Threshold(
    0.0,
    "the best of k answers of the reference, which no training is needed for (Gao et al. 2023; "
    "its divergence after Beirami et al. 2024)",
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

    divergence: NDArray[np.float64]
    wins: NDArray[np.float64]
    best_of: NDArray[np.float64]
    costs: NDArray[np.float64]

    def gaps(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Win rate minus that of the best of k at the same divergence, for draws of prompts.

        Beyond the largest k its win rate is held against: the frontier there can only be higher.

        Args:
            rows: prompts, int64 `[r, prompts]`.

        Returns:
            `[r]`.
        """
        import numpy as np

        spent = self.divergence[rows].mean(1)
        frontier = self.best_of[rows].mean(1)
        there = [np.interp(x, self.costs, line) for x, line in zip(spent, frontier, strict=True)]
        return self.wins[rows].mean(1) - np.array(there)


@check(
    name="frontier",
    title=TITLE,
    when="after",
    needs=("model", "reference"),
    paper="arXiv:2210.10760 Scaling Laws for Reward Model Overoptimization; arXiv:2401.01879 "
    "Theoretical Guarantees on the Best-of-n Alignment Policy",
    cost=cost_of_sampling,
)
def frontier(
    inputs: CheckInputs,
    *,
    prompts: Prompts = PROMPTS,
    samples: Samples = SAMPLES,
    max_new_tokens: Tokens = TOKENS,
) -> Finding:
    """Whether the judge's approval could be had nearer the reference.

    The model's win rate over its reference, and its divergence from it, stand beside those of the
    best of k answers of the reference under the same judge. Raised where the model's win rate lies
    measurably below: the same approval costs less divergence by choosing among answers, so the
    training has bought something the judge does not see, or has broken something.

    Args:
        inputs: with a judge.
        prompts: prompts to answer, from held-out records where there are some.
        samples: answers to each, from either model.
        max_new_tokens: of an answer.

    Raises:
        NotApplicableError: no prompt leaves room for an answer.
    """
    from accordant.statistics.estimates import bootstrap_mean, bootstrap_statistic

    found = sample_both(inputs, Sampling(prompts, samples, max_new_tokens))
    points = _points(found)
    gap = bootstrap_statistic(points.gaps, len(found.prompts))
    wins, divergence = bootstrap_mean(points.wins), bootstrap_mean(points.divergence)
    severity: Severity = "warning" if gap.high < THRESHOLD.value else "ok"
    if severity == "ok" and not wins.low > 0.5:
        severity = "info"
    return Finding(
        check="frontier",
        title=TITLE,
        severity=severity,
        quantity="win rate minus that of the reference's best of k at the same divergence",
        number=gap,
        unit="share",
        sentence=_sentence(found.judge, points, wins, divergence, severity),
        mend="Look at what the answers gained instead of approval. A smaller learning rate or a "
        "larger beta spends less divergence; if the judge is what counts, best of k of the "
        "reference does as well without training."
        if severity == "warning"
        else "",
        threshold=THRESHOLD,
        rows=_rows(found),
        row_unit="nats",
        concerned=len(found.prompts),
        measures=_measures(found, points, wins, divergence),
        charts=(_chart(points, wins, divergence),),
    )


def _points(found: Sampled) -> _Points:
    import numpy as np

    from accordant.statistics.best_of import best_of_divergence, best_of_win_rates, win_rate_over

    scores = [
        [[one.score for one in answers] for answers in side]
        for side in (found.by_model, found.by_reference)
    ]
    best_of = np.array([best_of_win_rates(one) for one in scores[1]])
    return _Points(
        divergence=np.array(
            [np.mean([one.divergence for one in answers]) for answers in found.by_model]
        ),
        wins=np.array([win_rate_over(*both) for both in zip(*scores, strict=True)]),
        best_of=best_of,
        costs=np.array([best_of_divergence(k) for k in range(1, best_of.shape[1] + 1)]),
    )


def _sentence(
    judge: str, points: _Points, wins: Interval, divergence: Interval, severity: Severity
) -> str:
    count = len(points.costs)
    best = points.best_of.mean(0)
    enough = next((k for k in range(1, count + 1) if best[k - 1] >= wins.estimate), None)
    told = (
        f"By the judge {judge} the model's answers beat the reference's in "
        f"{wins.estimate:.0%} of comparisons, at a divergence of {divergence.estimate:.2f} nats an "
        "answer. "
    )
    if enough is None:
        told += (
            f"No best of up to {count} answers of the reference does as well (best of {count}: "
            f"{best[-1]:.0%} at {points.costs[-1]:.2f} nats)."
        )
    elif enough == 1:
        told += "That is no more than the reference's own answers do against each other."
    else:
        told += (
            f"The best of {enough} answers of the reference does as well, at "
            f"{points.costs[enough - 1]:.2f} nats."
        )
    if severity == "warning":
        told += " So the model is further from its reference than this approval needs."
    elif severity == "info":
        told += " An improvement is not measurable with so many prompts."
    return told


def _rows(found: Sampled) -> tuple[FindingRow, ...]:
    """The answers that went furthest from the reference without beating it."""
    rows = []
    for prompt, ours, theirs in zip(found.prompts, found.by_model, found.by_reference, strict=True):
        worst = max(ours, key=lambda one: one.divergence)
        usual = sorted(one.score for one in theirs)[len(theirs) // 2]
        if worst.score <= usual:
            passages = (
                Passage("prompt", prompt),
                Passage("answer of the model", worst.text),
                Passage("answer of the reference", theirs[0].text),
            )
            note = f"judge: {worst.score:g}, the reference's median {usual:g}"
            rows.append(FindingRow(worst.divergence, passages, note=note))
    return tuple(sorted(rows, key=lambda row: -row.value)[:_SHOWN])


def _measures(
    found: Sampled, points: _Points, wins: Interval, divergence: Interval
) -> tuple[Measure, ...]:
    import numpy as np

    from accordant.statistics.estimates import bootstrap_mean, bootstrap_ratio

    lengths = np.array([np.mean([one.tokens for one in answers]) for answers in found.by_model])
    before = [np.mean([one.tokens for one in answers]) for answers in found.by_reference]
    measures = [
        Measure("win rate over the reference", wins, "share"),
        Measure("divergence from the reference, an answer", divergence, "nats"),
        Measure("divergence, a token", bootstrap_ratio(points.divergence, lengths), "nats"),
        Measure("tokens an answer, model", bootstrap_mean(lengths), "tokens"),
        Measure("tokens an answer, reference", bootstrap_mean(before), "tokens"),
    ]
    measures += [
        Measure(f"win rate, best of {k}", bootstrap_mean(points.best_of[:, k - 1]), "share")
        for k in (2, 4, 8, 16, 32)
        if k <= len(points.costs)
    ]
    return tuple(measures)


def _chart(points: _Points, wins: Interval, divergence: Interval) -> Chart:
    count = len(points.costs)
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
                labels=tuple(f"best of {k}" for k in range(1, count + 1)),
            ),
            Series(
                "the model", (wins.estimate,), (divergence.estimate,), (wins.low,), (wins.high,)
            ),
        ),
        (Mark(0.5, "as good as the reference", vertical=False),),
    )
