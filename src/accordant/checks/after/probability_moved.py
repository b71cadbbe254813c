"""Where the probability went: the tokens and answers that gained most, and whether chosen lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accordant.base.options import Count
from accordant.checks.findings import Outcome, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.pair_pass import PAIRS, REFERENCE_LOGPS, PairPass, examples_of
from accordant.checks.passes import Pass, count_tokens
from accordant.checks.ranking import PairLogps
from accordant.checks.registry import check
from accordant.checks.sampled_answers import SAMPLED, Listed, Sampled
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.estimates import bootstrap_mean, paired_difference

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.checks.probability_shift import ProbabilityShift

SCALE = Scale(
    "the chosen answers are to gain probability (Razin et al. 2024)", surely_below={0.0: "warning"}
)
SERIOUS = 0.1  # of the log-probability at the start, as in the check during training
_TOKENS_NAMED = 3


def _measure(inputs: CheckInputs) -> ProbabilityShift:
    from accordant.checks.probability_shift import measure_shift

    return measure_shift(
        inputs.model,
        inputs.reference,
        [tree for example in examples_of(inputs) for tree in example.trees],
        row_tokens=inputs.token_budget,
        advance=inputs.advance,
    )


SHIFT = Pass(
    "next-token distributions of both",
    _measure,
    lambda inputs: 2.0 * count_tokens(inputs),
    needs=("model", "reference"),
)


@check(
    name="probability-moved",
    title="Where the probability went",
    when="after",
    reads=(PAIRS, REFERENCE_LOGPS, SHIFT, SAMPLED),
    feedback=("comparison", "joint_pair", "ranking"),
    paper="arXiv:2410.08847 Unintentional Unalignment: Likelihood Displacement in Direct "
    "Preference Optimization",
    scale=SCALE,
    shown=(10, "answers listed."),
)
def probability_moved(
    inputs: CheckInputs,
    pairs: PairPass,
    before: PairLogps,
    shift: ProbabilityShift,
    sampled: Sampled,
    *,
    tokens: Count = 12,
) -> Outcome:
    """Which tokens and answers gained what the others lost.

    Next-token distributions of the model and its reference are compared where answers begin and
    at every position of the feedback's answers; of answers that the model samples, those whose
    log-probability rose most are listed. Raised where the chosen answers lost probability
    measurably; serious where they lost more than a tenth of their log-probability.

    Args:
        tokens: tokens shown in each chart.
    """
    number = paired_difference(before.chosen, pairs.logps.chosen)
    rejected = paired_difference(before.rejected, pairs.logps.rejected)
    severity = SCALE.severity(number)
    # Log-probabilities are negative: a tenth lost lies below a tenth of them.
    if severity == "warning" and number.estimate < SERIOUS * float(before.chosen.mean()):
        severity = "serious"
    shares = {
        "probability moved where answers begin": shift.first_variation,
        "of it gained by tokens that begin no answer of the feedback": shift.first_elsewhere,
        "probability moved at a token of the answers": shift.variation,
    }
    return Outcome(
        "change of the chosen answers' log-probability, an answer",
        number,
        f"The chosen answers changed by {number.estimate:+.2f} nats each, the rejected ones by "
        f"{rejected.estimate:+.2f}. {_gained(inputs, shift)}",
        "Look at what gained: if it is what nobody asked for, add an SFT term (cpo), lower the "
        "learning rate, or leave out the pairs that `accordant check --only ches --filter` names, "
        "and train again.",
        unit="nats",
        severity=severity,
        rows=sampled.rows(lambda place: _most_gained(sampled, place)),
        row_unit="nats",
        measures={
            "change of the rejected answers' log-probability": rejected,
            **{name: (bootstrap_mean(moved), "share") for name, moved in shares.items()},
        },
        charts=(
            _chart(inputs, shift.first_change, "Where an answer begins", tokens),
            _chart(inputs, shift.change, "Everywhere in the answers", tokens),
        ),
    )


def _named(inputs: CheckInputs, tokens: list[int]) -> list[str]:
    return [repr(inputs.tokenizer.decode([token])) for token in tokens]


def _gained(inputs: CheckInputs, shift: ProbabilityShift) -> str:
    moved = float(shift.first_variation.mean())
    elsewhere = float(shift.first_elsewhere.mean()) / moved if moved else 0.0
    best = shift.first_change.topk(_TOKENS_NAMED)
    names = _named(inputs, best.indices.tolist())
    gains = zip(names, best.values.tolist(), strict=True)
    named = ", ".join(f"{name} {change:+.1%}" for name, change in gains if change > 0)
    return (
        f"Where an answer begins, {moved:.1%} of the probability has moved, {elsewhere:.0%} of it "
        f"to tokens that begin no answer of the feedback; most was gained by {named or 'no token'}."
    )


def _most_gained(sampled: Sampled, place: int) -> Listed:
    """List, of the model's own answers to a prompt, the one that gained most."""
    ours = sampled.by_model
    best = int(ours.log_ratios[place].argmax())
    answers = {
        "answer that gained": ours.texts[place][best],
        "answer of the reference": sampled.by_reference.texts[place][0],
    }
    return float(ours.log_ratios[place, best]), f"{ours.tokens[place, best]:,.0f} tokens", answers


def _chart(inputs: CheckInputs, change: Tensor, title: str, tokens: int) -> Chart:
    """Draw the tokens that gained most and those that lost most."""
    # In a tiny vocabulary no token may stand on both sides.
    count = min(tokens, change.shape[0] // 2)
    gained, lost = change.topk(count), (-change).topk(count)
    places = [*gained.indices.tolist(), *reversed(lost.indices.tolist())]
    series = Series(
        "change",
        tuple(float(change[place]) for place in places),
        labels=tuple(_named(inputs, places)),
    )
    return Chart(
        "bars",
        title,
        "Tokens that gained most on the left, those that lost most on the right.",
        "token",
        "change of probability, averaged",
        (series,),
        (Mark(0.0, vertical=False),),
    )
