"""Pairs that are expected to make their own chosen answers less likely."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from accordant.base.options import Fraction
from accordant.checks.findings import Outcome, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.pair_pass import PAIRS, PairPass, examples_of, origins_of, pair_row
from accordant.checks.probe_run import PROBE, ProbeRun
from accordant.checks.registry import check
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.estimates import bootstrap_mean, wilson_interval
from accordant.statistics.rank_correlation import spearman

Score = Literal["length-normalised", "plain"]

COLUMN = {"length-normalised": "length-normalised CHES", "plain": "CHES"}
PROBED = Scale(
    "the whole interval of the rank correlation lies above it: higher scores went with a greater "
    "fall (Razin et al. 2024, section 5)",
    surely_above={0.0: "info"},
)
UPPER = 0.25  # share of pairs with the highest scores whose chosen answers are looked at


@check(
    name="ches",
    title="Likelihood displacement to expect",
    when="before",
    reads=(PAIRS, PROBE),
    feedback=("comparison", "joint_pair", "ranking"),
    paper="arXiv:2410.08847 Unintentional Unalignment: Likelihood Displacement in Direct "
    "Preference Optimization",
    shown=(50, "pairs to list at most, the highest scores first."),
)
def ches(
    inputs: CheckInputs,
    by_model: PairPass,
    probe: ProbeRun | None,
    *,
    score: Score = "length-normalised",
    drop: Fraction = 0.1,
    above: float | None = None,
) -> Outcome:
    """CHES: how much a chosen answer's hidden states lie along the rejected one's.

    With S the sum of an answer's last hidden states over the positions that predict its tokens,
    CHES is <S_chosen, S_rejected> - |S_chosen|^2, and length-normalised, as the authors filter by,
    the same of means. The higher, the more the chosen answer is expected to lose when it is
    preferred to the rejected one. Two answers of one token each score 0 whatever they say: both
    sums are the state before that token. Scores depend on the model's scale and have no threshold
    of their own: without a probe run pairs are listed without a verdict. A probe run trains a copy
    of the model for a few steps and holds the scores against what happened to the chosen answers.
    The plainer rivals, edit similarity and the similarity of last states, stand beside.

    Args:
        score: the score that orders and filters: length-normalised or plain.
        drop: share of pairs, those with the highest scores, that `--filter` leaves out.
        above: leaves out pairs with a score above this instead.
    """
    columns = _columns(inputs, by_model)
    scores = columns[COLUMN[score]]
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    if above is None:
        # Rounded down: no more pairs go than the share that was asked for.
        dropped = order[: math.floor(drop * len(scores))]
        least, which = scores[dropped[-1]] if dropped else math.inf, f"in the highest {drop:.0%}"
    else:
        dropped = [place for place in order if scores[place] > above]
        least, which = above, f"with a score above {above:g}"
    histogram = Chart.histogram(
        "CHES scores",
        "To the right, pairs whose chosen answer is expected to lose most.",
        f"{score} CHES score",
        "pairs",
        scores,
        *((Mark(least, "left out by --filter"),) if math.isfinite(least) else ()),
    )
    outcome = _by_scores(columns, score) if probe is None else _by_probe(columns, score, probe)
    left_out = f"`--filter` leaves out the {len(dropped):,} of {len(scores):,} pairs {which}."
    return replace(
        outcome,
        says=f"{outcome.says} {left_out}{_blind(inputs, by_model)}",
        rows=(pair_row(inputs, by_model.pairs[place], scores[place]) for place in order),
        concerned=len(dropped),
        drop=origins_of(inputs, [by_model.pairs[place] for place in dropped]),
        charts=(histogram, *outcome.charts),
    )


def _blind(inputs: CheckInputs, by_model: PairPass) -> str:
    """Return how many pairs the scores cannot tell from each other, as a sentence; none if none."""
    from accordant.checks.pairs import tokens_of

    examples = examples_of(inputs)
    count = sum(
        all(len(tokens_of(examples[pair.example], a)) == 1 for a in (pair.chosen, pair.rejected))
        for pair in by_model.pairs
    )
    if not count:
        return ""
    return f" {count:,} pairs of one token each score 0 by definition, whatever they say."


def _columns(inputs: CheckInputs, by_model: PairPass) -> dict[str, list[float]]:
    """Return every similarity of the answers of a pair, by name."""
    from accordant.checks.pairs import tokens_of
    from accordant.checks.similarity import COLUMNS, edit_similarity

    examples = examples_of(inputs)
    # Of tokens alone: no pass is needed for it.
    edits = [
        edit_similarity(*(tokens_of(examples[p.example], a) for a in (p.chosen, p.rejected)))
        for p in by_model.pairs
    ]
    names, columns = (*COLUMNS, "edit similarity"), (*by_model.similarities.T.tolist(), edits)
    return dict(zip(names, columns, strict=True))


def _by_scores(columns: dict[str, list[float]], score: Score) -> Outcome:
    """Report the scores alone, which give no verdict."""
    scores = columns[COLUMN[score]]
    return Outcome(
        f"pairs with a {score} CHES score above 0",
        wilson_interval(sum(value > 0 for value in scores), len(scores)),
        "Scores alone give no verdict: they order the pairs by how much the chosen answer is "
        "expected to lose. `--option ches.probe_steps=8` measures it.",
        unit="share",
        measures={
            f"rank correlation with {name}": (spearman(scores, values), "number")
            for name, values in columns.items()
            if name != COLUMN[score]
        },
    )


def _by_probe(columns: dict[str, list[float]], score: Score, probe: ProbeRun) -> Outcome:
    """Hold the scores against what happened to the chosen answers of the probe run."""
    scores, changes = columns[COLUMN[score]], probe.changes
    falls = {
        name: spearman([values[place] for place in probe.places], [-change for change in changes])
        for name, values in columns.items()
    }
    number = falls[COLUMN[score]]
    ordered = sorted(zip(probe.places, changes, strict=True), key=lambda pair: -scores[pair[0]])
    highest = ordered[: math.ceil(UPPER * len(ordered))]
    upper = bootstrap_mean([change for _, change in highest])
    telling = number.low > 0
    tells = "tell which pairs displace likelihood" if telling else "do not surely tell them"
    chart = Chart(
        "points",
        "Scores and what happened",
        f"Pairs of the probe run ({probe.words}).",
        f"{score} CHES score",
        "change of the chosen answer's log-probability, nats",
        (Series("pairs", changes, tuple(scores[place] for place in probe.places)),),
        (Mark(0.0, "unchanged", vertical=False),),
    )
    return Outcome(
        f"rank correlation of the {score} CHES score with the fall of the chosen answer",
        number,
        f"Over {probe.words}, scores and the fall of chosen answers have a rank correlation of "
        f"{number.estimate:+.2f}; the quarter with the highest scores changed by "
        f"{upper.estimate:+.2f} nats. The scores {tells} here.",
        "`--filter FILE` leaves the pairs with the highest scores out; look at them first: they "
        "are often two ways to say the same.",
        scale=PROBED,
        severity="warning" if telling and upper.high < 0 else None,
        measures={
            **{f"rank correlation of the fall with {name}": fall for name, fall in falls.items()},
            "change of chosen answers, all": (bootstrap_mean(changes), "nats"),
            "change of chosen answers, highest quarter": (upper, "nats"),
        },
        charts=(chart,),
    )
