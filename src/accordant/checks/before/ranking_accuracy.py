"""Which answers the model finds likelier, which DPO could make it, and which pairs are hard."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from accordant.base.errors import UserError
from accordant.base.options import Positive
from accordant.checks.findings import FindingRow, Outcome, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.pair_pass import PAIRS, PairPass, examples_of, origins_of, pair_row
from accordant.checks.ranking import Optimum, needed_loss, ranked_right, vote_shares
from accordant.checks.registry import check
from accordant.statistics.charts import Chart, Mark
from accordant.statistics.estimates import proportion, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from accordant.statistics.interval import Interval

# An assumed share of people; at 0 or 1 every pair would be learnt.
Assumed = Annotated[float, Field(gt=0.0, lt=1.0)]


@check(
    name="ranking-accuracy",
    title="Ranking accuracy and its ideal",
    when="before",
    reads=(PAIRS,),
    feedback=("comparison", "joint_pair", "ranking"),
    paper="arXiv:2405.19534 Preference Learning Algorithms Do Not Learn Preference Rankings",
    scale=Scale(
        "chosen here: one pair in twenty. Which pairs stay wrong follows from DPO's optimum (Chen "
        "et al. 2024)",
        above={0.05: "info"},
        surely_above={0.05: "warning"},
    ),
    shown=(50, "pairs to list at most, the hardest first."),
)
def ranking_accuracy(
    inputs: CheckInputs,
    by_model: PairPass,
    *,
    beta: Positive = 0.1,
    preferred: Assumed = 0.75,
    lowest: Assumed = 0.6,
    highest: Assumed = 0.9,
    drop_wrong: bool = False,
) -> Outcome:
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
    """
    if not lowest <= preferred <= highest:
        raise UserError(
            f"the assumed share {preferred:g} is not between {lowest:g} and {highest:g}.",
            where="ranking-accuracy.preferred",
            mend="Give lowest <= preferred <= highest.",
        )
    examples, gaps = examples_of(inputs), by_model.logps.gaps
    votes = [examples[pair.example].numbers.get("votes") for pair in by_model.pairs]
    optimum = Optimum(beta, vote_shares(votes), preferred)
    wrong = optimum.right(gaps) < 1
    # The hardest pair to turn has the lowest gap.
    places: list[int] = gaps.argsort(stable=True).tolist()
    stay = [by_model.pairs[place] for place in places if wrong[place]]
    number = wilson_interval(int(wrong.sum()), len(gaps))
    return Outcome(
        f"pairs ranked wrong even at DPO's optimum, beta {beta:g}",
        number,
        _says(by_model, number, optimum),
        "A smaller beta lets the policy go further from the model; training on the chosen answers "
        "first makes them likelier. Pairs that stay wrong teach a margin, not a ranking.",
        unit="share",
        rows=_rows(inputs, by_model, beta, places),
        row_unit="nats",
        concerned=int((gaps < 0).sum()),
        drop=origins_of(inputs, stay) if drop_wrong else (),
        measures=_measures(by_model, optimum, (preferred, lowest, highest)),
        charts=(_chart(gaps, optimum),),
    )


def _rows(
    inputs: CheckInputs, by_model: PairPass, beta: float, places: list[int]
) -> Iterator[FindingRow]:
    """List the pairs that are ranked wrong, in this order; a row's number is c."""
    gaps = by_model.logps.gaps
    needed = needed_loss(gaps, beta)
    for place in places:
        if gaps[place] < 0:
            note = f"ranked right once its loss is under {float(needed[place]):.4f}"
            yield pair_row(inputs, by_model.pairs[place], -float(gaps[place]), note)


def _says(by_model: PairPass, number: Interval, optimum: Optimum) -> str:
    pairs, unknown = len(by_model.pairs), optimum.unknown
    right = float(by_model.logps.right.mean())
    if unknown == pairs:
        known = f", assuming that {optimum.assumed:.0%} of people prefer each chosen answer"
    elif unknown:
        known = (
            f", by their votes, and for the {unknown:,} pairs without votes assuming that "
            f"{optimum.assumed:.0%} of people prefer the chosen answer"
        )
    else:
        known = ", by their votes"
    return (
        f"The model finds the chosen answer likelier in {right:.0%} of "
        f"{pairs:,} pairs. At DPO's optimum with beta {optimum.beta:g}{known}, "
        f"{1 - number.estimate:.0%} would be ranked right; training as it is done rarely comes "
        "near, and the pairs with the largest gap against them are the last to turn."
    )


def _measures(
    by_model: PairPass, optimum: Optimum, assumed: tuple[float, ...]
) -> dict[str, Interval]:
    logps = by_model.logps
    kinds = {"": logps.gaps, ", per token": logps.gaps_per_token}
    numbers = {
        f"ranking accuracy{suffix}": proportion(ranked_right(gaps))
        for suffix, gaps in kinds.items()
    }
    for suffix, gaps in kinds.items():
        # Where all votes are known, nothing is assumed and there is one ideal.
        for share in assumed if optimum.unknown else assumed[:1]:
            by = f" at {share:.0%}" if optimum.unknown else " by votes"
            ideal = proportion(optimum.right(gaps, share))
            numbers[f"idealised ranking accuracy{by}{suffix}"] = ideal
    ties = int((logps.gaps == 0).sum())
    return numbers | {"ties, counted half": wilson_interval(ties, len(logps.gaps))}


def _chart(gaps: Tensor, optimum: Optimum) -> Chart:
    marks = [Mark(0.0, "as likely")]
    if optimum.unknown:
        share = optimum.assumed
        furthest = -math.log(share / (1 - share)) / optimum.beta
        marks.append(Mark(furthest, f"turned at the optimum if {share:.0%} agree"))
    return Chart.histogram(
        "How the model ranks the pairs",
        "Left of the first line the rejected answer is likelier; the further left, the harder.",
        "log-probability of chosen minus rejected, nats",
        "pairs",
        gaps.tolist(),
        *marks,
    )
