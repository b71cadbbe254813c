"""The check of positionality: planted skews, null tables, small groups, and what it says."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from accordant.checks.after.positionality import positionality
from accordant.checks.findings import Finding
from accordant.checks.inputs import CheckInputs
from tests.checks.before.feedback import comparisons, feedback

INPUTS = CheckInputs(feedback(comparisons(1)))
SIZES = {"north": 25, "south": 25, "west": 4}


def write_table(
    path: Path, skew: Mapping[str, float], *, seed: int = 0, items: int = 120, rated: int = 40
) -> str:
    """Ratings by people of two properties; each column of targets sides with `south` so much.

    North and south see an item off its severity by as much, in opposite directions; at 0 a target
    is on nobody's side.
    """
    draw = np.random.default_rng(seed)
    severity, view = draw.normal(size=(2, items))
    targets = {
        name: severity + much * view + 0.4 * draw.normal(size=items) for name, much in skew.items()
    }
    regions = [name for name, size in SIZES.items() for _ in range(size)]
    ages = draw.permutation(["young", "old"] * (len(regions) // 2))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "annotator", "rating", *targets, "region", "age"])
        for person, (region, age) in enumerate(zip(regions, ages, strict=True)):
            for item in draw.choice(items, rated, replace=False):
                seen = {"north": -0.7, "south": 0.7, "west": 0.0}[region] * view[item]
                rating = severity[item] + seen + 0.7 * draw.normal()
                values = [f"{own[item]:.3f}" for own in targets.values()]
                writer.writerow([f"i{item}", f"a{person}", f"{rating:.3f}", *values, region, age])
    return str(path)


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Finding:
    path = tmp_path_factory.mktemp("tables") / "skewed.csv"
    return positionality(INPUTS, annotations=write_table(path, {"label": 0.7}))


def test_a_planted_skew_is_found_with_its_direction(skewed: Finding) -> None:
    assert skewed.severity == "warning"
    assert "labels, region 'south' over 'north'" in skewed.quantity
    assert skewed.number.low > 0.1
    assert "agree most with region 'south'" in skewed.sentence
    assert "side with region 'south' over 'north'" in skewed.sentence
    assert "age" not in skewed.sentence.partition("side with")[2].partition("Too small")[0]
    assert skewed.mend


def test_small_groups_are_reported_not_dropped(skewed: Finding) -> None:
    assert "Too small or too uniform to be tested: region 'west' (4 people" in skewed.sentence
    (row,) = [row for row in skewed.rows if "west" in row.passages[0].text]
    assert math.isnan(row.value)
    assert "not tested" in row.passages[1].text
    assert not any("west" in one.name for one in skewed.measures)


def test_rows_and_charts_show_every_tested_group(skewed: Finding) -> None:
    named = [row.passages[0].text for row in skewed.rows]
    regions = {f"region '{name}'" for name in SIZES}
    assert set(named) == {*regions, "age 'old'", "age 'young'"}
    assert named[-1] == "region 'west'"
    values = [row.value for row in skewed.rows[:-1]]
    assert values == sorted(values)
    assert [chart.x_title for chart in skewed.charts] == ["region", "age"]
    assert skewed.charts[0].series[0].labels == ("north", "south")


def test_labels_on_nobodys_side_raise_nothing(tmp_path: Path) -> None:
    path = write_table(tmp_path / "fair.csv", {"label": 0.0}, seed=3)
    finding = positionality(INPUTS, annotations=path)
    assert finding.severity == "ok"
    assert "No two groups of one property differ beyond chance." in finding.sentence
    assert not finding.mend


def test_labels_and_predictions_are_told_apart(tmp_path: Path) -> None:
    path = write_table(tmp_path / "both.csv", {"label": 0.0, "prediction": 0.7}, seed=4)
    finding = positionality(INPUTS, annotations=path, axes="region")
    assert finding.severity == "warning"
    assert "predictions, region 'south'" in finding.quantity
    assert "The labels agree most" in finding.sentence
    assert "The predictions agree most" in finding.sentence
    raised = [one.name for one in finding.measures if one.number.low > 0]
    assert raised == ["region: 'south' over 'north', predictions"]
    assert len(finding.charts) == 1


def test_no_group_large_enough_claims_nothing(tmp_path: Path) -> None:
    path = write_table(tmp_path / "small.csv", {"label": 0.7})
    finding = positionality(INPUTS, annotations=path, min_annotators=60)
    assert finding.severity == "ok"
    assert math.isnan(finding.number.estimate)
    assert "No group is large enough" in finding.sentence
    assert len(finding.rows) == 5
    assert finding.charts == ()
