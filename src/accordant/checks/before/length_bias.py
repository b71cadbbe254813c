"""How well the length of answers alone predicts which is preferred."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from accordant.base.options import Count
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
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.registry import check
from accordant.checks.texts import passages_of, preferences_of
from accordant.feedback.records import Binary, Record, flat
from accordant.statistics.estimates import (
    area_under_curve,
    bootstrap_mean,
    proportion,
    wilson_interval,
)
from accordant.statistics.interval import Interval

# Distance from one half at which the whole interval must lie.
LEVELS: tuple[tuple[float, Severity], ...] = ((0.25, "serious"), (0.1, "warning"), (0.05, "info"))
SOURCE = (
    "chosen here: the whole interval 10 points off one half; what length explains, a policy can "
    "learn instead of quality (Singhal et al. 2023, arXiv:2310.03716)"
)
BINS = 8


@check(
    name="length-bias",
    title="Length bias",
    when="before",
    feedback=("comparison", "ranking", "joint_pair", "binary"),
)
def length_bias(inputs: CheckInputs, *, shown: Count = 50) -> Finding:
    """How often the longer answer is the preferred one, where length should say nothing.

    The number is the share of preferences in which the preferred answer has more characters, ties
    counted half; for answers with thumbs the probability that a desirable one is longer than an
    undesirable one. A ranking counts once: its number is the mean over its pairs.

    Args:
        shown: rows to list at most, the largest differences first.
    """
    records = inputs.feedback.records
    if inputs.feedback.record_type == "binary":
        return _of_thumbs(records, shown)
    pairs = [[_length_pair(*pair) for pair in preferences_of(record)] for record in records]
    kept = [(record, own) for record, own in zip(records, pairs, strict=True) if own]
    if not kept:
        raise NotApplicableError("no record prefers one answer to another")
    outcomes = [sum(map(_longer, own)) / len(own) for _, own in kept]
    share = proportion(outcomes)
    gaps = [sum(math.log((a + 1) / (b + 1)) for a, b in own) / len(own) for _, own in kept]
    sign = 1 if share.estimate >= 0.5 else -1
    rows = [
        FindingRow(gap, passages_of(record), record.origin)
        for (record, _), gap in zip(kept, gaps, strict=True)
        if sign * gap > 0
    ]
    rows.sort(key=lambda row: -sign * row.value)
    raised = _severity(share)
    return Finding(
        check="length-bias",
        title="Length bias",
        severity=raised,
        quantity="preferences for the longer answer",
        number=share,
        unit="share",
        sentence=_sentence(share, "preferred answers are"),
        mend=_mend(share),
        threshold=_threshold(share),
        rows=tuple(rows[:shown]) if raised != "ok" else (),
        row_unit="log length ratio",
        concerned=len(rows) if raised != "ok" else 0,
        measures=(Measure("log of preferred length by other length, mean", bootstrap_mean(gaps)),),
        charts=(_histogram(gaps), _by_ratio(kept)),
    )


def _mend(share: Interval) -> str:
    if _severity(share) == "ok":
        return ""
    way = "shorter" if share.estimate >= 0.5 else "longer"
    return (
        f"Add answers that are right though {way}, train on a length-normalised objective "
        "(`ln_dpo`, `simpo`), and watch the length of answers while training."
    )


def _of_thumbs(records: Sequence[Record], shown: int) -> Finding:
    """The same for answers with thumbs."""
    thumbs = [record for record in records if isinstance(record, Binary)]
    lengths = {
        label: [float(len(flat(one.completion))) for one in thumbs if one.label == label]
        for label in (True, False)
    }
    if not (lengths[True] and lengths[False]):
        raise NotApplicableError("all answers have the same label")
    area = area_under_curve(lengths[True], lengths[False])
    raised = _severity(area)
    wanted = area.estimate >= 0.5
    rows = [
        FindingRow(float(len(flat(one.completion))), passages_of(one), one.origin)
        for one in thumbs
        if one.label == wanted
    ]
    rows.sort(key=lambda row: -row.value)
    series = tuple(
        Series(name, tuple(lengths[label]))
        for label, name in ((False, "not preferred"), (True, "preferred"))
    )
    note = "The further apart the two, the better length alone tells the labels."
    chart = Chart("histogram", "Lengths by label", note, "characters", "answers", series)
    return Finding(
        check="length-bias",
        title="Length bias",
        severity=raised,
        quantity="probability that a desirable answer is longer than an undesirable one",
        number=area,
        unit="share",
        sentence=_sentence(area, "desirable answers are"),
        mend=_mend(area),
        threshold=_threshold(area),
        rows=tuple(rows[:shown]) if raised != "ok" else (),
        row_unit="characters",
        concerned=len(rows) if raised != "ok" else 0,
        charts=(chart,),
    )


def _length_pair(better: object, worse: object) -> tuple[int, int]:
    return len(flat(better)), len(flat(worse))  # type: ignore[arg-type]


def _longer(pair: tuple[int, int]) -> float:
    return 0.5 if pair[0] == pair[1] else float(pair[0] > pair[1])


def _severity(share: Interval) -> Severity:
    """By how far the whole interval lies from one half."""
    nearest = max(share.low - 0.5, 0.5 - share.high)
    return next((severity for level, severity in LEVELS if nearest > level), "ok")


def _threshold(share: Interval) -> Threshold:
    return Threshold(0.6 if share.estimate >= 0.5 else 0.4, SOURCE)


def _sentence(share: Interval, subject: str) -> str:
    rate = max(share.estimate, 1 - share.estimate)
    way = "longer" if share.estimate >= 0.5 else "shorter"
    if _severity(share) == "ok":
        return (
            f"Length hardly tells which answer is better: {subject} {way} in {rate:.0%} of cases."
        )
    return (
        f"Length alone predicts {rate:.0%} of the labels ({subject} {way}): a model that learns "
        f"nothing but to write {'more' if way == 'longer' else 'less'} fits them."
    )


def _histogram(gaps: Sequence[float]) -> Chart:
    return Chart(
        "histogram",
        "Length of preferred answers",
        "Right of zero the preferred answer is the longer one.",
        "log of preferred length by other length",
        "records",
        (Series("records", tuple(gaps)),),
        (Mark(0.0),),
    )


def _by_ratio(kept: Sequence[tuple[Record, list[tuple[int, int]]]]) -> Chart:
    """How often the longer answer is preferred, by how much longer it is."""
    differ = [(a, b) for _, own in kept for a, b in own if a != b]
    ratios = np.array([abs(math.log((a + 1) / (b + 1))) for a, b in differ])
    won = np.array([float(a > b) for a, b in differ])
    order = np.argsort(ratios, kind="stable")
    parts = [
        part for part in np.array_split(order, min(BINS, max(1, len(order) // 20))) if len(part)
    ]
    shares = [wilson_interval(float(won[part].sum()), len(part)) for part in parts]
    series = Series(
        "longer answer preferred",
        tuple(one.estimate for one in shares),
        xs=tuple(float(np.exp(ratios[part].mean())) for part in parts),
        low=tuple(one.low for one in shares),
        high=tuple(one.high for one in shares),
    )
    return Chart(
        "points",
        "Preference by difference in length",
        "Flat at one half where length says nothing; bars are 95 % intervals.",
        "longer length by shorter length",
        "share in which the longer is preferred",
        (series,),
        (Mark(0.5, "no bias", vertical=False),),
    )
