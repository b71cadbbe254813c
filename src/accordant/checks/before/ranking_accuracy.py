"""Which answers the model finds likelier, which DPO could make it, and which pairs are hard."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from accordant.base.errors import UserError
from accordant.base.options import Count, Positive
from accordant.checks.findings import (
    Chart,
    Finding,
    FindingRow,
    Mark,
    Measure,
    Series,
    Severity,
    Threshold,
)
from accordant.checks.inputs import CheckInputs
from accordant.checks.pair_pass import (
    cost_of_pass,
    examples_of,
    origins_of,
    pair_pass,
    pair_row,
)
from accordant.checks.registry import check
from accordant.statistics.estimates import proportion, wilson_interval
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from accordant.checks.pair_pass import PairPass

# An assumed share of people; at 0 or 1 every pair would be learnt.
Assumed = Annotated[float, Field(gt=0.0, lt=1.0)]

TITLE = "Ranking accuracy and its ideal"
THRESHOLD = Threshold(
    0.05,
    "chosen here: one pair in twenty. Which pairs stay wrong follows from DPO's optimum (Chen et "
    "al. 2024)",
)


@check(
    name="ranking-accuracy",
    title=TITLE,
    when="before",
    needs=("model",),
    feedback=("comparison", "joint_pair", "ranking"),
    paper="arXiv:2405.19534 Preference Learning Algorithms Do Not Learn Preference Rankings",
    cost=cost_of_pass,
)
def ranking_accuracy(
    inputs: CheckInputs,
    *,
    beta: Positive = 0.1,
    preferred: Assumed = 0.75,
    lowest: Assumed = 0.6,
    highest: Assumed = 0.9,
    drop_wrong: bool = False,
    shown: Count = 50,
) -> Finding:
    """Pairs the model ranks wrong, and those that even DPO's optimum ranks wrong.

    Ranking accuracy is the share of pairs whose chosen answer has the higher log-probability,
    summed over tokens or averaged; ties count half. At DPO's optimum
    pi(w) / pi(l) = ref(w) / ref(l) (a / (1 - a))^(1 / beta), with a the share of people who prefer
    the chosen answer: its votes where they are known. Where they are not, a share is assumed, and
    the ideal is given for a lower and a higher one too. How hard a pair is to turn is
    c = log ref(l) - log ref(w): DPO's loss on it must fall under -log sigmoid(beta c) first.

    Args:
        beta: of the objective that will be trained.
        preferred: share of people assumed to prefer a chosen answer whose votes are not known.
        lowest: the lower end of the range that is reported.
        highest: the higher end of it.
        drop_wrong: whether `--filter` leaves out the pairs that stay wrong at the optimum.
        shown: pairs to list at most, the hardest first.
    """
    if not lowest <= preferred <= highest:
        raise UserError(
            f"the assumed share {preferred:g} is not between {lowest:g} and {highest:g}.",
            where="ranking-accuracy.preferred",
            mend="Give lowest <= preferred <= highest.",
        )
    from accordant.checks.ranking import ranked_right

    found = pair_pass(inputs)
    gaps = found.logps.gaps
    shares = _shares(inputs, found)
    wrong = ranked_right(_ideal(gaps, shares, preferred, beta)) < 1
    places = _hardest_first(gaps)
    number = wilson_interval(int(wrong.sum()), len(gaps))
    severity = _severity(number)
    return Finding(
        check="ranking-accuracy",
        title=TITLE,
        severity=severity,
        quantity=f"pairs ranked wrong even at DPO's optimum, beta {beta:g}",
        number=number,
        unit="share",
        sentence=_sentence(found, number, shares, preferred, beta),
        mend="A smaller beta lets the policy go further from the model; training on the chosen "
        "answers first makes them likelier. Pairs that stay wrong teach a margin, not a ranking."
        if severity != "ok"
        else "",
        threshold=THRESHOLD,
        rows=_rows(inputs, found, beta, places[:shown]),
        row_unit="nats",
        concerned=int((gaps < 0).sum()),
        drop=origins_of(inputs, [found.pairs[p] for p in places if wrong[p]]) if drop_wrong else (),
        measures=_measures(found, shares, beta, (preferred, lowest, highest)),
        charts=(_chart(gaps, shares, preferred, beta),),
    )


def _shares(inputs: CheckInputs, found: PairPass) -> Tensor:
    """Share of people who prefer each chosen answer, `[pairs]`; NaN where it is not known."""
    from accordant.checks.ranking import vote_shares

    examples = examples_of(inputs)
    return vote_shares([examples[pair.example].numbers.get("votes") for pair in found.pairs])


def _ideal(gaps: Tensor, shares: Tensor, assumed: float, beta: float) -> Tensor:
    """Gaps at the optimum, with the assumed share where none is known."""
    from accordant.checks.ranking import ideal_gaps

    return ideal_gaps(gaps, shares.nan_to_num(nan=assumed), beta)


def _hardest_first(gaps: Tensor) -> list[int]:
    places: list[int] = gaps.argsort(stable=True).tolist()
    return places


def _severity(number: Interval) -> Severity:
    if not number.estimate > THRESHOLD.value:
        return "ok"
    return "warning" if number.low > THRESHOLD.value else "info"


def _rows(
    inputs: CheckInputs, found: PairPass, beta: float, places: Sequence[int]
) -> tuple[FindingRow, ...]:
    """The hardest pairs that are ranked wrong; a row's number is c."""
    from accordant.checks.ranking import needed_loss

    gaps = found.logps.gaps
    needed = needed_loss(gaps, beta)
    return tuple(
        pair_row(
            inputs,
            found.pairs[place],
            -float(gaps[place]),
            f"ranked right once its loss is under {float(needed[place]):.4f}",
        )
        for place in places
        if gaps[place] < 0
    )


def _sentence(
    found: PairPass, number: Interval, shares: Tensor, preferred: float, beta: float
) -> str:
    from accordant.checks.ranking import ranked_right

    gaps = found.logps.gaps
    right = float(ranked_right(gaps).mean())
    unknown = int(shares.isnan().sum())
    assumption = ""
    if unknown == len(shares):
        assumption = f", assuming that {preferred:.0%} of people prefer each chosen answer"
    elif unknown:
        assumption = (
            f", by their votes, and for the {unknown:,} pairs without votes assuming that "
            f"{preferred:.0%} of people prefer the chosen answer"
        )
    else:
        assumption = ", by their votes"
    return (
        f"The model finds the chosen answer likelier in {right:.0%} of {len(gaps):,} pairs. At "
        f"DPO's optimum with beta {beta:g}{assumption}, {1 - number.estimate:.0%} would be ranked "
        "right; training as it is done rarely comes near, and the pairs with the largest gap "
        "against them are the last to turn."
    )


def _measures(
    found: PairPass, shares: Tensor, beta: float, assumed: tuple[float, float, float]
) -> tuple[Measure, ...]:
    from accordant.checks.ranking import ranked_right

    measures = []
    kinds = (("", found.logps.gaps), (", per token", found.logps.gaps_per_token))
    for suffix, gaps in kinds:
        right = proportion(ranked_right(gaps))
        measures.append(Measure(f"ranking accuracy{suffix}", right, "share"))
    for suffix, gaps in kinds:
        # Where all votes are known, nothing is assumed and there is one ideal.
        for share in assumed if bool(shares.isnan().any()) else assumed[:1]:
            ideal = proportion(ranked_right(_ideal(gaps, shares, share, beta)))
            said = f" at {share:.0%}" if bool(shares.isnan().any()) else " by votes"
            measures.append(Measure(f"idealised ranking accuracy{said}{suffix}", ideal, "share"))
    gaps = found.logps.gaps
    ties = wilson_interval(int((gaps == 0).sum()), len(gaps))
    return (*measures, Measure("ties, counted half", ties, "share"))


def _chart(gaps: Tensor, shares: Tensor, preferred: float, beta: float) -> Chart:
    marks = [Mark(0.0, "as likely")]
    if bool(shares.isnan().any()):
        furthest = -math.log(preferred / (1 - preferred)) / beta
        marks.append(Mark(furthest, f"turned at the optimum if {preferred:.0%} agree"))
    return Chart(
        "histogram",
        "How the model ranks the pairs",
        "Left of the first line the rejected answer is likelier; the further left, the harder.",
        "log-probability of chosen minus rejected, nats",
        "pairs",
        (Series("pairs", tuple(gaps.tolist())),),
        tuple(marks),
    )
