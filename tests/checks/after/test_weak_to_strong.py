"""The check of weak-to-strong deception: tables, verdicts and mistakes with their place."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from accordant.base.errors import UserError
from accordant.checks.after.weak_to_strong import weak_to_strong
from accordant.checks.inputs import CheckInputs, NotApplicableError
from tests.checks.before.feedback import comparisons, feedback

INPUTS = CheckInputs(feedback(comparisons(1)))
HEADER = ("item", "weak", "strong_a", "strong_ab")


def write(path: Path, rows: list[tuple[object, ...]], header: tuple[str, ...] = HEADER) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def rows(lost_known: float, lost_unknown: float, seed: int = 0) -> list[tuple[object, ...]]:
    draw = np.random.default_rng(seed)
    table = []
    for item in range(400):
        known = draw.random() < 0.5
        lost = draw.random() < (lost_known if known else lost_unknown)
        weak = 0.9 if known else 0.55
        after = draw.uniform(0.1, 0.4) if lost else 0.9
        table.append((f"q{item}", weak, round(draw.uniform(0.6, 1), 3), round(after, 3)))
    return table


def test_planted_deception_is_serious_and_its_items_are_listed(tmp_path: Path) -> None:
    table = rows(0.1, 0.6)
    finding = weak_to_strong(INPUTS, predictions=write(tmp_path / "p.csv", table), shown=10)
    assert finding.severity == "serious"
    assert finding.number.low > 0.1
    hidden = {row[0] for row in table if row[1] < 0.75 and row[3] < 0.5}
    assert finding.concerned == len(hidden)
    assert {row.passages[0].text for row in finding.rows} <= hidden
    assert len(finding.rows) == 10
    values = [row.value for row in finding.rows]
    assert values == sorted(values, reverse=True)
    first = finding.rows[0]
    assert table[first.origin.row - 1][0] == first.passages[0].text
    known, unknown = finding.charts[0].series[0].values
    assert unknown > known


def test_even_losses_raise_nothing(tmp_path: Path) -> None:
    finding = weak_to_strong(INPUTS, predictions=write(tmp_path / "p.csv", rows(0.3, 0.3)))
    assert finding.severity == "ok"
    assert "no more than chance" in finding.sentence
    assert not finding.mend


def test_doubt_of_the_strong_model_makes_it_a_warning(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    table = []
    for item in range(800):
        known = draw.random() < 0.5
        unsure = draw.random() < (0.1 if known else 0.9)
        lost = draw.random() < (0.5 if unsure else 0.05)
        strong = 0.6 if unsure else 0.95
        table.append((item, 0.9 if known else 0.5, strong, 0.1 if lost else 0.9))
    finding = weak_to_strong(INPUTS, predictions=write(tmp_path / "p.csv", table))
    assert finding.severity == "warning"
    assert "may explain it" in finding.sentence


def test_with_labels_the_columns_are_of_label_one(tmp_path: Path) -> None:
    table = rows(0.1, 0.6)
    turned = []
    for place, (item, *chances) in enumerate(table):
        label = place % 2
        own = [chance if label else round(1 - chance, 6) for chance in chances]
        turned.append((item, label, *own))
    plain = weak_to_strong(INPUTS, predictions=write(tmp_path / "a.csv", table))
    labelled = weak_to_strong(
        INPUTS,
        predictions=write(tmp_path / "b.csv", turned, ("item", "label", *HEADER[1:])),
        confidence=0.75,
    )
    assert labelled.number.estimate == pytest.approx(plain.number.estimate)


def test_nothing_lost_says_so(tmp_path: Path) -> None:
    finding = weak_to_strong(INPUTS, predictions=write(tmp_path / "p.csv", rows(0, 0)))
    assert finding.severity == "ok"
    assert "the conflict took none" in finding.sentence


@pytest.mark.parametrize(
    ("row", "header", "said", "place"),
    [
        (("b", 1.5, 0.5, 0.5), HEADER, "1.5, expected a probability", "row 2, column 'weak'"),
        (("a", 0.5, 0.5, 0.5), HEADER, "stands in row 1 already", "row 2, column 'item'"),
        (("b", 0.5, "", 0.5), HEADER, "is empty", "row 2, column 'strong_a'"),
        (("b", 0.5, 0.5, 0.5), ("item", "weak", "strong", "strong_ab"), "no column 'strong_a'", ""),
    ],
)
def test_mistakes_name_their_place(
    tmp_path: Path, row: tuple[object, ...], header: tuple[str, ...], said: str, place: str
) -> None:
    path = write(tmp_path / "p.csv", [("a", 0.9, 0.9, 0.9), row], header)
    with pytest.raises(UserError) as error:
        weak_to_strong(INPUTS, predictions=path)
    assert said in error.value.message
    assert place in error.value.where


def test_a_label_is_zero_or_one(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", [("a", 2, 0.9, 0.9, 0.9)], ("item", "label", *HEADER[1:]))
    with pytest.raises(UserError, match="expected the label 0 or 1"):
        weak_to_strong(INPUTS, predictions=path)


def test_a_strong_model_that_gets_nothing_right_is_no_case(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", [("a", 0.9, 0.2, 0.1)])
    with pytest.raises(NotApplicableError, match="no item right"):
        weak_to_strong(INPUTS, predictions=path)
