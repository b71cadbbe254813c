"""How well the length of answers alone predicts which is preferred."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from accordant.checks.findings import FindingRow, Outcome, Scale
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.registry import check
from accordant.checks.texts import record_row
from accordant.feedback.kinds import answers_of, kind_of_record, preferences_of
from accordant.feedback.records import Record, flat
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.estimates import (
    area_under_curve,
    bootstrap_mean,
    proportion,
    wilson_interval,
)
from accordant.statistics.interval import Interval

SCALE = Scale(
    "chosen here: the whole interval 10 points off one half; what length explains, a policy can "
    "learn instead of quality (Singhal et al. 2023, arXiv:2310.03716)",
    surely_off={0.05: "info", 0.1: "warning", 0.25: "serious"},
)
BINS = 8


@check(
    name="length-bias",
    title="Length bias",
    when="before",
    feedback=("comparison", "ranking", "joint_pair", "binary"),
    scale=SCALE,
    shown=(50, "rows to list at most, the largest differences first."),
)
def length_bias(inputs: CheckInputs) -> Outcome:
    """How often the longer answer is the preferred one, where length should say nothing.

    The number is the share of preferences in which the preferred answer has more characters, ties
    counted half; for answers with thumbs the probability that a desirable one is longer than an
    undesirable one. A ranking counts once: its number is the mean over its pairs.
    """
    records = inputs.feedback.records
    labels = [kind_of_record(record).label(record) for record in records]
    if all(label is None for label in labels):
        return _of_preferences(records)
    return _of_thumbs(records, labels)


def _of_preferences(records: Sequence[Record]) -> Outcome:
    """Compare the lengths of answers that were preferred to others with theirs."""
    lengths = {
        place: pairs
        for place, record in enumerate(records)
        if (pairs := [(len(flat(a)), len(flat(b))) for a, b in preferences_of(record)])
    }
    if not lengths:
        raise NotApplicableError("no record prefers one answer to another")
    share = proportion([sum(map(_longer, pairs)) / len(pairs) for pairs in lengths.values()])
    # Plus 1, as answers may be empty.
    gaps = {
        place: sum(math.log((a + 1) / (b + 1)) for a, b in pairs) / len(pairs)
        for place, pairs in lengths.items()
    }
    sign = 1 if share.estimate >= 0.5 else -1
    followed = [place for place, gap in gaps.items() if sign * gap > 0]
    histogram = Chart.histogram(
        "Length of preferred answers",
        "Right of zero the preferred answer is the longer one.",
        "log of preferred length by other length",
        "records",
        gaps.values(),
        Mark(0.0),
    )
    mean = bootstrap_mean(list(gaps.values()))
    return _outcome(
        "preferences for the longer answer",
        share,
        "preferred answers are",
        [
            record_row(records[place], gaps[place])
            for place in sorted(followed, key=lambda place: -sign * gaps[place])
        ],
        row_unit="log length ratio",
        measures={"log of preferred length by other length, mean": (mean, "number")},
        charts=(histogram, _by_ratio([pair for pairs in lengths.values() for pair in pairs])),
    )


def _of_thumbs(records: Sequence[Record], labels: Sequence[bool | None]) -> Outcome:
    """Compare the lengths of desirable answers with those of undesirable ones."""
    lengths = [float(len(flat(answers_of(record)[0][1]))) for record in records]
    wanted, unwanted = (
        [length for length, label in zip(lengths, labels, strict=True) if label is side]
        for side in (True, False)
    )
    if not (wanted and unwanted):
        raise NotApplicableError("all answers have the same label")
    area = area_under_curve(wanted, unwanted)
    rows = [
        record_row(record, length)
        for record, length, label in zip(records, lengths, labels, strict=True)
        if label == (area.estimate >= 0.5)
    ]
    series = (Series("not preferred", tuple(unwanted)), Series("preferred", tuple(wanted)))
    note = "The further apart the two, the better length alone tells the labels."
    return _outcome(
        "probability that a desirable answer is longer than an undesirable one",
        area,
        "desirable answers are",
        sorted(rows, key=lambda row: -row.value),
        row_unit="characters",
        charts=(Chart("histogram", "Lengths by label", note, "characters", "answers", series),),
    )


def _outcome(
    quantity: str, share: Interval, subject: str, rows: list[FindingRow], **shown: Any
) -> Outcome:
    """Say of a share how far length alone tells the labels, and list rows where it does."""
    longer, raised = share.estimate >= 0.5, SCALE.severity(share) != "ok"
    way, other = ("longer", "shorter") if longer else ("shorter", "longer")
    rate = max(share.estimate, 1 - share.estimate)
    return Outcome(
        quantity,
        share,
        f"Length alone predicts {rate:.0%} of the labels ({subject} {way}): a model that learns "
        f"nothing but to write {'more' if longer else 'less'} fits them."
        if raised
        else f"Length does not surely tell what is better: {subject} {way} in {rate:.0%} of cases.",
        f"Add answers that are right though {other}, train on a length-normalised objective "
        "(`ln_dpo`, `simpo`), and watch the length of answers while training.",
        unit="share",
        rows=rows if raised else (),
        **shown,
    )


def _longer(pair: tuple[int, int]) -> float:
    return 0.5 if pair[0] == pair[1] else float(pair[0] > pair[1])


def _by_ratio(pairs: Sequence[tuple[int, int]]) -> Chart:
    """Draw how often the longer answer is preferred, by how much longer it is."""
    differ = [(a, b) for a, b in pairs if a != b]
    ratios = np.array([abs(math.log((a + 1) / (b + 1))) for a, b in differ])
    won = np.array([float(a > b) for a, b in differ])
    order = np.argsort(ratios, kind="stable")
    # Twenty pairs in a bin at least: with fewer its interval spans everything.
    bins = [b for b in np.array_split(order, min(BINS, max(1, len(order) // 20))) if len(b)]
    shares = [wilson_interval(float(won[places].sum()), len(places)) for places in bins]
    xs = [float(np.exp(ratios[places].mean())) for places in bins]
    return Chart(
        "points",
        "Preference by difference in length",
        "Flat at one half where length says nothing; bars are 95 % intervals.",
        "longer length by shorter length",
        "share in which the longer is preferred",
        (Series.of_intervals("longer answer preferred", shares, xs=xs),),
        (Mark(0.5, "no bias", vertical=False),),
    )
