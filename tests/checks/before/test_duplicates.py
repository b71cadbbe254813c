"""Rows that repeat another are found, with their rows; feedback without any is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accordant.checks.before.duplicates import duplicates
from accordant.feedback.records import Binary, Message, Origin, Ranking
from tests.checks.before.feedback import comparisons, dropped, rows_of, run


@pytest.mark.parametrize("seed", range(3))
def test_clean_feedback_has_none(seed):
    finding = run(duplicates, comparisons(seed=seed))
    assert finding.severity == "ok"
    assert finding.number.estimate == 0
    assert finding.rows == finding.drop == ()


def test_a_planted_copy_is_found_with_the_row_it_repeats():
    records = comparisons()
    records[150] = replace(
        records[20], prompt=f"  {records[20].prompt}\n", origin=records[150].origin
    )
    finding = run(duplicates, records)
    assert finding.severity == "info"
    (row,) = finding.rows
    assert (row.origin.row, [o.row for o in row.also], row.note) == (151, [21], "the same")
    assert dropped(finding) == [151]
    assert finding.number.estimate == 1 / 200


def test_a_nearly_identical_row_is_found_and_its_likeness_is_exact():
    records = comparisons()
    long = " ".join(f"word{n}" for n in range(100))
    records[3] = replace(records[3], chosen=long)
    changed = long.replace("word50", "another")
    records[90] = replace(records[3], chosen=changed, origin=records[90].origin)
    finding = run(duplicates, records)
    (row,) = finding.rows
    assert (row.origin.row, row.note) == (91, "nearly the same")
    # The whole rows share all runs of five words but the five on each side that hold the word.
    assert 0.9 < row.value < 1
    assert run(duplicates, records, similarity=0.99).rows == ()


def test_many_copies_are_a_warning_and_only_the_first_stays():
    records = comparisons()
    for place in range(100, 110):
        records[place] = replace(records[0], origin=records[place].origin)
    finding = run(duplicates, records)
    assert finding.severity == "warning"
    assert dropped(finding) == list(range(101, 111))
    assert "10 of 200 rows" in finding.sentence


def test_rows_with_a_common_prompt_or_turned_round_are_no_copies():
    records = comparisons(6)
    long = " ".join(f"word{n}" for n in range(300))
    records = [replace(record, prompt=long) for record in records]
    turned = replace(records[0], chosen=records[0].rejected, rejected=records[0].chosen)
    assert run(duplicates, [*records, turned]).severity == "ok"


def test_labels_and_roles_count():
    here = [Origin("f", n) for n in (1, 2, 3)]
    thumbs = [Binary("a", "b", True, here[0]), Binary("a", "b", False, here[1])]
    assert run(duplicates, thumbs, "binary").severity == "ok"
    thumbs.append(Binary("a", "b", True, here[2]))
    assert dropped(run(duplicates, thumbs, "binary")) == [3]
    asked = [(Message(role, "go"),) for role in ("user", "system")]
    answer = (Message("assistant", "gone"),)
    talks = [Binary(p, answer, True, o) for p, o in zip(asked, here, strict=False)]
    (row,) = run(duplicates, talks, "binary").rows
    assert row.note == "nearly the same"


def test_rankings_are_copies_in_the_same_order_alone():
    one = Ranking("p", ("a", "b", "c"), origin=Origin("f", 1))
    assert run(duplicates, [one, replace(one, completions=("b", "a", "c"))], "ranking").rows == ()
    assert rows_of(run(duplicates, [one, replace(one, origin=Origin("f", 2))], "ranking")) == {1, 2}
