"""Length as a predictor of labels: planted, and absent."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from accordant.checks.before.length_bias import length_bias
from accordant.feedback.records import Binary, Origin, Ranking
from tests.checks.before.feedback import comparisons, run, sentence


def biased(records, share, seed=0, longer=True):
    """The longer (or shorter) answer made the preferred one in this share of the records."""
    draw = random.Random(seed)
    out = []
    for record in records:
        pair = sorted((record.chosen, record.rejected), key=len, reverse=longer)
        if draw.random() >= share:
            pair.reverse()
        out.append(replace(record, chosen=pair[0], rejected=pair[1]))
    return out


@pytest.mark.parametrize("seed", range(5))
def test_clean_feedback_has_none(seed):
    finding = run(length_bias, comparisons(400, seed))
    assert finding.severity == "ok"
    assert finding.rows == ()
    assert finding.mend == ""


@pytest.mark.parametrize(
    ("share", "severity"), [(0.62, "info"), (0.7, "warning"), (0.9, "serious")]
)
@pytest.mark.parametrize("longer", [True, False])
def test_a_planted_bias_is_found_in_its_size_and_its_direction(share, severity, longer):
    finding = run(length_bias, biased(comparisons(1000), share, longer=longer))
    assert finding.severity == severity
    assert finding.number.low <= (share if longer else 1 - share) <= finding.number.high
    assert ("are longer" if longer else "are shorter") in finding.sentence
    assert ("right though shorter" if longer else "right though longer") in finding.mend
    assert finding.threshold.value == (0.6 if longer else 0.4)
    sign = 1 if longer else -1
    values = [sign * row.value for row in finding.rows]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0


def test_equal_lengths_are_ties():
    records = [replace(r, chosen="abc", rejected="xyz") for r in comparisons(50)]
    finding = run(length_bias, records)
    assert finding.number.estimate == 0.5
    assert finding.severity == "ok"


def test_the_chart_shows_the_share_by_ratio():
    finding = run(length_bias, biased(comparisons(1000), 0.8))
    histogram, by_ratio = finding.charts
    assert len(histogram.series[0].values) == 1000
    (series,) = by_ratio.series
    assert list(series.xs) == sorted(series.xs)
    assert all(
        low <= v <= high
        for low, v, high in zip(series.low, series.values, series.high, strict=True)
    )
    assert sum(series.values) / len(series.values) == pytest.approx(0.8, abs=0.05)


def test_thumbs_are_judged_by_the_area_under_the_curve():
    draw = random.Random(3)
    clean, skewed = [], []
    for row in range(1, 401):
        text, label = sentence(draw), draw.random() < 0.5
        clean.append(Binary("p", text, label, Origin("f", row)))
        skewed.append(Binary("p", text * (2 if label else 1), label, Origin("f", row)))
    assert run(length_bias, clean, "binary").severity == "ok"
    finding = run(length_bias, skewed, "binary")
    assert finding.severity in ("warning", "serious")
    assert finding.number.low > 0.6
    assert all(row.passages[-1].text == "desirable" for row in finding.rows)


def test_a_ranking_counts_once():
    answers = tuple("x" * n for n in (9, 7, 5, 3))
    rankings = [Ranking(f"p{n}", answers, origin=Origin("f", n)) for n in range(40)]
    finding = run(length_bias, rankings, "ranking")
    assert finding.number.count == 40
    assert finding.number.estimate == 1
    (measure,) = finding.measures
    pairs = [(9, 7), (9, 5), (9, 3), (7, 5), (7, 3), (5, 3)]
    mean = sum(math.log((a + 1) / (b + 1)) for a, b in pairs) / 6
    assert measure.number.estimate == pytest.approx(mean)
