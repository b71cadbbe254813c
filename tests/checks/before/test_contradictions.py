"""Pairs both ways, cycles and labels for and against."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from accordant.checks.before.contradictions import contradictions
from accordant.feedback.records import Binary, Comparison, JointPair, Origin, Ranking
from tests.checks.before.feedback import comparisons, dropped, rows_of, run


def pair(prompt, better, worse, row):
    return Comparison(prompt, better, worse, Origin("f", row))


@pytest.mark.parametrize("seed", range(3))
def test_clean_feedback_has_none(seed):
    finding = run(contradictions, comparisons(seed=seed))
    assert finding.severity == "ok"
    assert finding.drop == ()


def test_answers_that_follow_a_hidden_order_have_none():
    draw = random.Random(1)
    records = []
    for row in range(300):
        i, j = sorted(draw.sample(range(12), 2))
        records.append(pair(f"p{row % 3}", f"answer {j}", f"answer {i}", row + 1))
    assert run(contradictions, records).severity == "ok"


def test_the_same_pair_both_ways_is_found_and_both_rows_go():
    records = comparisons()
    one = records[7]
    records[120] = pair(one.prompt + " ", one.rejected, one.chosen, 121)
    finding = run(contradictions, records)
    (row,) = finding.rows
    assert rows_of(finding) == {8, 121}
    assert row.note == "the same pair both ways"
    assert dropped(finding) == [8, 121]
    assert finding.severity == "info"
    assert "2 of 200 rows" in finding.sentence


def test_of_a_pair_both_ways_the_rarer_way_goes():
    ways = [pair("p", "a", "b", 1), pair("p", "a", "b", 2), pair("p", "b", "a", 3)]
    assert dropped(run(contradictions, ways)) == [3]
    assert run(contradictions, ways).severity == "serious"


def test_a_cycle_of_three_is_found_and_what_hangs_on_it_is_not():
    cycle = [pair("p", "a", "b", 1), pair("p", "b", "c", 2), pair("p", "c", "a", 3)]
    beside = [pair("p", "a", "z", 4), pair("q", "b", "a", 5)]
    finding = run(contradictions, [*comparisons(), *cycle, *beside])
    assert rows_of(finding) == {1, 2, 3}
    assert dropped(finding) == [1, 2, 3]
    assert finding.rows[0].note == "a cycle of preferences"


def test_rankings_that_disagree_make_a_cycle_and_ties_do_not():
    rankings = [
        Ranking("p", ("a", "b", "c"), origin=Origin("f", 1)),
        Ranking("p", ("c", "d", "a"), origin=Origin("f", 2)),
        Ranking("q", ("a", "b", "c"), origin=Origin("f", 3)),
    ]
    assert rows_of(run(contradictions, rankings, "ranking")) == {1, 2}
    tied = [
        Ranking("p", ("a", "b"), (1.0, 1.0), Origin("f", 1)),
        Ranking("p", ("b", "a"), (1.0, 1.0), Origin("f", 2)),
    ]
    assert run(contradictions, tied, "ranking").severity == "ok"


def test_an_answer_preferred_to_itself_is_found():
    finding = run(contradictions, [*comparisons(), pair("p", "a", " a\n", 201)])
    assert dropped(finding) == [201]
    assert finding.rows[0].note == "an answer preferred to itself"


def test_labels_for_and_against_are_found():
    thumbs = [
        Binary("p", "a", True, Origin("f", 1)),
        Binary("p", "a", False, Origin("f", 2)),
        Binary("p", "a", True, Origin("f", 3)),
        Binary("p", "b", False, Origin("f", 4)),
    ]
    finding = run(contradictions, thumbs, "binary")
    assert rows_of(finding) == {1, 2, 3}
    assert dropped(finding) == [2]


def test_joint_pairs_are_told_apart_by_their_prompts():
    one = JointPair("p", "a", "q", "a", Origin("f", 1))
    assert run(contradictions, [one], "joint_pair").severity == "ok"
    turned = JointPair("q", "a", "p", "a", Origin("f", 2))
    assert rows_of(run(contradictions, [one, turned], "joint_pair")) == {1, 2}


def test_all_rows_of_a_long_random_order_reversed_are_in_conflict():
    records = comparisons(60)
    turned = [
        replace(r, chosen=r.rejected, rejected=r.chosen, origin=Origin("f", 60 + n))
        for n, r in enumerate(records, 1)
    ]
    finding = run(contradictions, [*records, *turned], shown=1000)
    assert finding.number.estimate == 1
    assert finding.concerned == 60
    assert len(finding.drop) == 120
