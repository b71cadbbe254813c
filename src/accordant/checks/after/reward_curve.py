"""Whether more of the reward that training has taught is more of what the judge wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accordant.checks.after._sampled import SAMPLED, Sampled, answer_row
from accordant.checks.findings import FindingRow, Outcome, Scale, list_measures
from accordant.checks.inputs import CheckInputs
from accordant.checks.registry import check
from accordant.statistics.best_of import best_of_divergence, chances, selected
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.estimates import bootstrap_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALE = Scale(
    "choosing harder by a reward is to win more, not less (Gao et al. 2023)",
    surely_below={0.0: "warning"},
)
ENDS = {
    "serious": "So what training has rewarded is what the judge likes less.",
    "warning": "So the reward is past its peak: more of it is worse.",
    "info": "Whether the reward agrees with the judge is not measurable with so many prompts.",
    "ok": "More of the reward is more of what the judge wants, as far as it was tried.",
}
_SHOWN = 10


@check(
    name="reward-curve",
    title="Reward over-optimisation",
    when="after",
    reads=(SAMPLED,),
    paper="arXiv:2210.10760 Scaling Laws for Reward Model Overoptimization",
    scale=SCALE,
)
def reward_curve(_: CheckInputs, sampled: Sampled) -> Outcome:
    """What the judge says of answers chosen by the model's implicit reward, ever harder.

    The implicit reward of an answer is log model - log reference (Rafailov et al. 2023, equation
    5, over beta). The best of k answers of the reference by this reward are held up to the judge,
    for k = 1 to the number of samples, averaged over every subset. Raised where the last doubling
    of k measurably loses: the reward is past its peak there. Serious where the best of all loses
    measurably against an answer drawn blindly: the reward points the wrong way.
    """
    curves = _curves(sampled)
    count = curves.shape[1]
    half = (count + 1) // 2
    turn = bootstrap_mean(curves[:, -1] - curves[:, half - 1])
    whole = bootstrap_mean(curves[:, -1])
    severity = SCALE.severity(turn)
    if whole.high < 0.5:
        severity = "serious"
    elif severity == "ok" and not whole.low > 0.5:
        severity = "info"
    return Outcome(
        f"win rate of the best of {count} by implicit reward, minus that of the best of {half}",
        turn,
        f"Of {count} answers of the reference the one with the highest implicit reward beats the "
        f"others in {whole.estimate:.0%} of comparisons by the judge {sampled.judge}; of "
        f"{half} answers, in {curves.mean(0)[half - 1]:.0%}. {ENDS[severity]}",
        "The training has rewarded something else than the judge does: look at the answers with "
        "the highest reward below, and at what the labels prefer (the checks of bias). Train less "
        "far, or with a larger beta."
        if severity in ("warning", "serious")
        else "",
        unit="share",
        severity=severity,
        rows=_rows(sampled),
        row_unit="nats",
        concerned=len(sampled.prompts),
        measures=list_measures(
            {
                f"win rate, best of {k} by reward": bootstrap_mean(curves[:, k - 1])
                for k in sorted({k for k in (2, 4, 8, 16, 32) if k < count} | {count})
            },
            "share",
        ),
        charts=(_chart(curves),),
    )


def _curves(sampled: Sampled) -> NDArray[np.float64]:
    """Return the chance that the best of k by reward beats another answer, `[prompts, k]`."""
    return np.array(
        [
            selected(
                [answer.log_ratio for answer in group],
                chances([answer.score for answer in group]),
            )
            for group in sampled.by_reference
        ]
    )


def _rows(sampled: Sampled) -> list[FindingRow]:
    """List answers with the highest reward to their prompt that the judge likes less than most."""
    rows = []
    for prompt, group in zip(sampled.prompts, sampled.by_reference, strict=True):
        best = max(range(len(group)), key=lambda place: group[place].log_ratio)
        chance = float(chances([answer.score for answer in group])[best])
        if chance < 0.5:
            note = f"highest reward of {len(group)}; beats {chance:.0%} of the others"
            rows.append(answer_row(group[best].log_ratio, note, prompt, {"answer": group[best]}))
    return sorted(rows, key=lambda row: -row.value)[:_SHOWN]


def _chart(curves: NDArray[np.float64]) -> Chart:
    sizes = range(1, curves.shape[1] + 1)
    line = Series.of_intervals(
        "best of k by implicit reward",
        [bootstrap_mean(column) for column in curves.T],
        [f"best of {k}" for k in sizes],
        [best_of_divergence(k) for k in sizes],
    )
    return Chart(
        "lines",
        "Choosing harder by the reward",
        "A line that turns down has passed the point up to which the reward is a good proxy.",
        "divergence of the best of k answers from one answer, nats",
        "chance to beat another answer",
        (line,),
        (Mark(0.5, "drawn blindly", vertical=False),),
    )
