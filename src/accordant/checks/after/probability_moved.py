"""Where the probability went: the tokens and answers that gained most, and whether chosen lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from accordant.base.options import Count
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
from accordant.checks.inputs import CheckInputs, count_tokens
from accordant.checks.pair_pass import (
    cost_of_both,
    examples_of,
    pair_pass,
    reference_logps,
)
from accordant.checks.registry import check

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.checks.probability_shift import ProbabilityShift
    from accordant.statistics.interval import Interval

TITLE = "Where the probability went"
THRESHOLD = Threshold(0.0, "the chosen answers are to gain probability (Razin et al. 2024)")
SERIOUS = 0.1  # of the log-probability at the start, as in the check during training
_TOKENS_NAMED = 3
_PASS = "next-token distributions of both"


def _cost(
    inputs: CheckInputs, *, prompts: int, samples: int, max_new_tokens: int
) -> Mapping[str, float]:
    return {
        **cost_of_both(inputs),
        **cost_of_sampling(inputs, prompts=prompts, samples=samples, max_new_tokens=max_new_tokens),
        _PASS: 2.0 * count_tokens(inputs),
    }


@check(
    name="probability-moved",
    title=TITLE,
    when="after",
    needs=("model", "reference"),
    feedback=("comparison", "joint_pair", "ranking"),
    paper="arXiv:2410.08847 Unintentional Unalignment: Likelihood Displacement in Direct "
    "Preference Optimization",
    cost=_cost,
)
def probability_moved(
    inputs: CheckInputs,
    *,
    tokens: Count = 12,
    shown: Count = 10,
    prompts: Prompts = PROMPTS,
    samples: Samples = SAMPLES,
    max_new_tokens: Tokens = TOKENS,
) -> Finding:
    """Which tokens and answers gained what the others lost.

    Next-token distributions of the model and its reference are compared where answers begin and
    at every position of the feedback's answers; of answers that the model samples, those whose
    log-probability rose most are listed. Raised where the chosen answers lost probability
    measurably; serious where they lost more than a tenth of their log-probability.

    Args:
        tokens: tokens shown in each chart.
        shown: answers listed.
        prompts: prompts to answer, from held-out records where there are some.
        samples: answers to each, from either model.
        max_new_tokens: of an answer.

    Raises:
        NotApplicableError: no record states a preference, or no prompt leaves room for an answer.
    """
    from accordant.checks.probability_shift import measure_shift
    from accordant.statistics.estimates import paired_difference

    after, before = pair_pass(inputs).logps, reference_logps(inputs)
    number = paired_difference(before.chosen, after.chosen)
    found = inputs.once(
        _PASS,
        lambda: measure_shift(
            inputs.model,
            inputs.reference,
            [tree for example in examples_of(inputs) for tree in example.trees],
            row_tokens=inputs.token_budget,
            advance=inputs.advance,
        ),
    )
    severity: Severity = "warning" if number.high < THRESHOLD.value else "ok"
    if severity == "warning" and number.estimate < SERIOUS * float(before.chosen.mean()):
        severity = "serious"
    rejected = paired_difference(before.rejected, after.rejected)
    answers = sample_both(inputs, Sampling(prompts, samples, max_new_tokens))
    return Finding(
        check="probability-moved",
        title=TITLE,
        severity=severity,
        quantity="change of the chosen answers' log-probability, an answer",
        number=number,
        unit="nats",
        sentence=_sentence(inputs, found, number, rejected),
        mend="Look at what gained: if it is what nobody asked for, add an SFT term (rpo), lower "
        "the learning rate, or leave out the pairs that `accordant check --only ches --filter` "
        "names, and train again."
        if severity != "ok"
        else "",
        threshold=THRESHOLD,
        rows=_rows(answers, shown),
        row_unit="nats",
        concerned=len(answers.prompts),
        measures=_measures(found, rejected),
        charts=(
            _chart(inputs, found.first_change, "Where an answer begins", tokens),
            _chart(inputs, found.change, "Everywhere in the answers", tokens),
        ),
    )


def _named(inputs: CheckInputs, tokens: list[int]) -> list[str]:
    return [repr(inputs.tokenizer.decode([token])) for token in tokens]


def _sentence(
    inputs: CheckInputs, found: ProbabilityShift, chosen: Interval, rejected: Interval
) -> str:
    moved = float(found.first_variation.mean())
    elsewhere = float(found.first_elsewhere.mean()) / moved if moved else 0.0
    best = found.first_change.topk(_TOKENS_NAMED)
    named = ", ".join(
        f"{name} {change:+.1%}"
        for name, change in zip(
            _named(inputs, best.indices.tolist()), best.values.tolist(), strict=True
        )
        if change > 0
    )
    return (
        f"The chosen answers changed by {chosen.estimate:+.2f} nats each, the rejected ones by "
        f"{rejected.estimate:+.2f}. Where an answer begins, {moved:.1%} of the probability has "
        f"moved, {elsewhere:.0%} of it to tokens that begin no answer of the feedback; most was "
        f"gained by {named or 'no token'}."
    )


def _rows(answers: Sampled, shown: int) -> tuple[FindingRow, ...]:
    """Of the model's own answers, the one to each prompt that gained most."""
    rows = []
    for prompt, ours, theirs in zip(
        answers.prompts, answers.by_model, answers.by_reference, strict=True
    ):
        best = max(ours, key=lambda one: one.log_ratio)
        passages = (
            Passage("prompt", prompt),
            Passage("answer that gained", best.text),
            Passage("answer of the reference", theirs[0].text),
        )
        rows.append(FindingRow(best.log_ratio, passages, note=f"{best.tokens:,} tokens"))
    return tuple(sorted(rows, key=lambda row: -row.value)[:shown])


def _measures(found: ProbabilityShift, rejected: Interval) -> tuple[Measure, ...]:
    from accordant.statistics.estimates import bootstrap_mean

    return (
        Measure("change of the rejected answers' log-probability", rejected, "nats"),
        Measure(
            "probability moved where answers begin", bootstrap_mean(found.first_variation), "share"
        ),
        Measure(
            "of it gained by tokens that begin no answer of the feedback",
            bootstrap_mean(found.first_elsewhere),
            "share",
        ),
        Measure(
            "probability moved at a token of the answers", bootstrap_mean(found.variation), "share"
        ),
    )


def _chart(inputs: CheckInputs, change: Tensor, title: str, tokens: int) -> Chart:
    """The tokens that gained most and those that lost most."""
    count = min(tokens, change.shape[0] // 2)
    gained, lost = change.topk(count), (-change).topk(count)
    places = [*gained.indices.tolist(), *reversed(lost.indices.tolist())]
    return Chart(
        "bars",
        title,
        "Tokens that gained most on the left, those that lost most on the right.",
        "token",
        "change of probability, averaged",
        (
            Series(
                "change",
                tuple(float(change[place]) for place in places),
                labels=tuple(_named(inputs, places)),
            ),
        ),
        (Mark(0.0, vertical=False),),
    )
