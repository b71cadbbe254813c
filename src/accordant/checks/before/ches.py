"""Pairs that are expected to make their own chosen answers less likely."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from accordant.base.errors import UserError
from accordant.base.options import Count, Fraction, Positive
from accordant.checks.findings import (
    Chart,
    Finding,
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
from accordant.statistics.estimates import bootstrap_mean, wilson_interval
from accordant.statistics.interval import Interval
from accordant.statistics.rank_correlation import spearman

if TYPE_CHECKING:
    from accordant.checks.pair_pass import PairPass
    from accordant.checks.pairs import Pair

Steps = Annotated[int, Field(ge=0)]
Score = Literal["length-normalised", "plain"]

TITLE = "Likelihood displacement to expect"
COLUMN = {"length-normalised": 0, "plain": 1}
THRESHOLD = Threshold(
    0.0,
    "the whole interval of the rank correlation lies above it: higher scores went with a greater "
    "fall (Razin et al. 2024, section 5)",
)
UPPER = 0.25  # share of pairs with the highest scores whose chosen answers are looked at


@dataclass(frozen=True, slots=True)
class _Cut:
    """Which pairs `--filter` leaves out: places of pairs, the highest score first, and in words."""

    dropped: tuple[int, ...]
    value: float
    words: str


@dataclass(frozen=True, slots=True)
class _Probe:
    """What a probe run did: places of its pairs, and the changes of their chosen answers."""

    places: tuple[int, ...]
    changes: tuple[float, ...]
    words: str


def _cost(
    inputs: CheckInputs, *, probe_steps: int = 0, probe_pairs: int = 64
) -> Mapping[str, float]:
    costs = dict(cost_of_pass(inputs))
    if probe_steps:
        from accordant.checks.trial_steps import TrialSteps, trial_cost

        examples = examples_of(inputs)
        share = min(1.0, probe_pairs / max(len(examples), 1))
        tokens = share * sum(example.num_tokens for example in examples)
        pairs = min(probe_pairs, len(examples))
        costs["probe run"] = trial_cost(tokens, pairs, TrialSteps(probe_steps))
    return costs


@check(
    name="ches",
    title=TITLE,
    when="before",
    needs=("model",),
    feedback=("comparison", "joint_pair", "ranking"),
    paper="arXiv:2410.08847 Unintentional Unalignment: Likelihood Displacement in Direct "
    "Preference Optimization",
    cost=_cost,
)
def ches(
    inputs: CheckInputs,
    *,
    score: Score = "length-normalised",
    drop: Fraction = 0.1,
    above: float | None = None,
    probe_steps: Steps = 0,
    probe_pairs: Count = 64,
    probe_rate: Positive = 1e-5,
    method: str | None = None,
    shown: Count = 50,
) -> Finding:
    """CHES: how much a chosen answer's hidden states lie along the rejected one's.

    With S the sum of an answer's last hidden states over the positions that predict its tokens,
    CHES is <S_chosen, S_rejected> - |S_chosen|^2, and length-normalised, as the authors filter by,
    the same of means. The higher, the more the chosen answer is expected to lose when it is
    preferred to the rejected one. Scores depend on the model's scale and have no threshold of their
    own: without a probe run pairs are listed without a verdict. A probe run trains a copy of the
    model for a few steps and holds the scores against what happened to the chosen answers.
    The plainer rivals, edit similarity and the similarity of last states, stand beside.

    Args:
        score: the score that orders and filters: length-normalised or plain.
        drop: share of pairs, those with the highest scores, that `--filter` leaves out.
        above: leaves out pairs with a score above this instead.
        probe_steps: optimiser steps of the probe run; 0 for none.
        probe_pairs: pairs of the probe run, drawn at random.
        probe_rate: its learning rate (AdamW in float32).
        method: objective of the probe run; the usual one for the feedback when none.
        shown: pairs to list at most, the highest scores first.
    """
    found = pair_pass(inputs)
    scores: list[float] = found.similarities[:, COLUMN[score]].tolist()
    cut = _cut(scores, drop, above)
    probe = None
    if probe_steps:
        probe = _run_probe(inputs, found.pairs, probe_steps, probe_pairs, probe_rate, method)
    number = _positive(scores) if probe is None else _correlation(scores, probe)
    severity: Severity = "ok" if probe is None else _severity(number, scores, probe)
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    return Finding(
        check="ches",
        title=TITLE,
        severity=severity,
        quantity=f"pairs with a {score} CHES score above 0"
        if probe is None
        else f"rank correlation of the {score} CHES score with the fall of the chosen answer",
        number=number,
        unit="share" if probe is None else "number",
        sentence=_sentence(scores, number, cut, probe),
        mend="`--filter FILE` leaves the pairs with the highest scores out; look at them first: "
        "they are often two ways to say the same."
        if severity != "ok"
        else "",
        threshold=None if probe is None else THRESHOLD,
        rows=tuple(pair_row(inputs, found.pairs[p], scores[p]) for p in order[:shown]),
        row_unit="number",
        concerned=len(cut.dropped),
        drop=origins_of(inputs, [found.pairs[place] for place in cut.dropped]),
        measures=_measures(inputs, found, score, probe),
        charts=_charts(scores, cut, score, probe),
    )


def _cut(scores: Sequence[float], drop: float, above: float | None) -> _Cut:
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    if above is not None:
        chosen = tuple(place for place in order if scores[place] > above)
        return _Cut(chosen, above, f"with a score above {above:g}")
    chosen = tuple(order[: math.floor(drop * len(scores))])
    value = scores[chosen[-1]] if chosen else math.inf
    return _Cut(chosen, value, f"in the highest {drop:.0%}")


def _positive(scores: Sequence[float]) -> Interval:
    return wilson_interval(sum(value > 0 for value in scores), len(scores))


def _correlation(scores: Sequence[float], probe: _Probe) -> Interval:
    return spearman([scores[p] for p in probe.places], [-change for change in probe.changes])


def _upper(scores: Sequence[float], probe: _Probe) -> Interval:
    """Mean change of the chosen answers of the probe's pairs with the highest scores."""
    paired = zip((scores[place] for place in probe.places), probe.changes, strict=True)
    ordered = sorted(paired, key=lambda one: -one[0])
    return bootstrap_mean([change for _, change in ordered[: math.ceil(UPPER * len(ordered))]])


def _severity(number: Interval, scores: Sequence[float], probe: _Probe) -> Severity:
    if not number.low > THRESHOLD.value:
        return "ok"
    return "warning" if _upper(scores, probe).high < 0 else "info"


def _run_probe(
    inputs: CheckInputs,
    pairs: Sequence[Pair],
    steps: int,
    count: int,
    rate: float,
    method: str | None,
) -> _Probe:
    import torch

    from accordant.checks.assumed_objective import pair_objective
    from accordant.checks.trial_steps import TrialSteps, trial_changes

    examples = examples_of(inputs)
    if any(example.kind == "ranking" for example in examples):
        raise UserError(
            "the probe run trains on pairs, and these are rankings.",
            where="ches.probe_steps",
            mend="Leave it out, or write each ranking as comparisons.",
        )
    objective, bound = pair_objective(method, None, inputs.feedback.record_type)
    generator = torch.Generator().manual_seed(inputs.seed)
    places = torch.randperm(len(examples), generator=generator)[:count].tolist()
    changes = trial_changes(
        inputs.model,
        [examples[place] for place in places],
        objective,
        bound,
        TrialSteps(steps, learning_rate=rate, token_budget=inputs.token_budget),
        advance=inputs.advance,
    )
    # Of pairs alone, so the place of an example is that of its pair.
    assert len(pairs) == len(examples)
    words = f"{steps} steps of {objective.name} on {len(places):,} pairs"
    return _Probe(tuple(places), tuple(changes[:, 0].tolist()), words)


def _sentence(scores: Sequence[float], number: Interval, cut: _Cut, probe: _Probe | None) -> str:
    left = f"`--filter` leaves out the {len(cut.dropped):,} of {len(scores):,} pairs {cut.words}."
    if probe is None:
        return (
            "Scores alone give no verdict: they order the pairs by how much the chosen answer is "
            f"expected to lose. `--option ches.probe_steps=8` measures it. {left}"
        )
    upper = _upper(scores, probe)
    said = (
        f"Over {probe.words}, scores and the fall of chosen answers have a rank correlation of "
        f"{number.estimate:+.2f}; the quarter with the highest scores changed by "
        f"{upper.estimate:+.2f} nats."
    )
    if number.low > 0:
        return f"{said} The scores tell which pairs displace likelihood here. {left}"
    return f"{said} The scores do not tell which pairs lose here. {left}"


def _measures(
    inputs: CheckInputs, found: PairPass, score: Score, probe: _Probe | None
) -> tuple[Measure, ...]:
    from accordant.checks.pairs import tokens_of
    from accordant.checks.similarity import COLUMNS, edit_similarity

    examples = examples_of(inputs)
    columns = dict(zip(COLUMNS, found.similarities.T.tolist(), strict=True))
    columns["edit similarity"] = [
        edit_similarity(*(tokens_of(examples[p.example], a) for a in (p.chosen, p.rejected)))
        for p in found.pairs
    ]
    if probe is not None:
        fell = [-change for change in probe.changes]
        return (
            *(
                Measure(
                    f"rank correlation of the fall with {name}",
                    spearman([values[place] for place in probe.places], fell),
                )
                for name, values in columns.items()
            ),
            Measure("change of chosen answers, all", bootstrap_mean(probe.changes), "nats"),
            Measure(
                "change of chosen answers, highest quarter",
                _upper(columns[COLUMNS[COLUMN[score]]], probe),
                "nats",
            ),
        )
    chosen = COLUMNS[COLUMN[score]]
    return tuple(
        Measure(f"rank correlation with {name}", spearman(columns[chosen], values))
        for name, values in columns.items()
        if name != chosen
    )


def _charts(
    scores: Sequence[float], cut: _Cut, score: Score, probe: _Probe | None
) -> tuple[Chart, ...]:
    marks = (Mark(cut.value, "left out by --filter"),) if math.isfinite(cut.value) else ()
    charts = [
        Chart(
            "histogram",
            "CHES scores",
            "To the right, pairs whose chosen answer is expected to lose most.",
            f"{score} CHES score",
            "pairs",
            (Series("pairs", tuple(scores)),),
            marks,
        )
    ]
    if probe is not None:
        held = tuple(scores[place] for place in probe.places)
        charts.append(
            Chart(
                "points",
                "Scores and what happened",
                f"Pairs of the probe run ({probe.words}).",
                f"{score} CHES score",
                "change of the chosen answer's log-probability, nats",
                (Series("pairs", probe.changes, held),),
                (Mark(0.0, "unchanged", vertical=False),),
            )
        )
    return tuple(charts)
