"""Agreement: planted, absent, and as the formulas say."""

from __future__ import annotations

import random

import pytest

from accordant.checks.before.agreement import agreement
from accordant.feedback.records import Binary, Comparison, Origin, Rating
from tests.checks.before.feedback import run


def voted(share, count=150, people=5, seed=0):
    """Pairs on which each of several people picks the better answer with this probability.

    The row says who won, as people write it down: chosen is who has more votes.
    """
    draw = random.Random(seed)
    records = []
    for row in range(1, count + 1):
        answers = [f"good {row}", f"bad {row}"]
        draw.shuffle(answers)
        good = sum(draw.random() < share for _ in range(people))
        votes = {f"good {row}": good, f"bad {row}": people - good}
        answers.sort(key=lambda one: -votes[one])
        records.append(
            Comparison(
                f"p{row}", *answers, Origin("f", row), (votes[answers[0]], votes[answers[1]])
            )
        )
    return records


def test_people_who_agree_are_left_alone():
    finding = run(agreement, voted(0.99))
    assert finding.severity == "ok"
    assert finding.rows == ()
    assert finding.number.low > 0.8


def test_people_who_guess_are_found_although_a_majority_always_wins():
    finding = run(agreement, voted(0.5))
    assert finding.severity == "serious"
    assert finding.number.low < 0 < finding.number.high
    assert finding.number.high < 0.2
    disputed = {row.origin.row for row in finding.rows}
    split = {r.origin.row for r in voted(0.5) if min(r.votes) == 2}
    assert disputed <= split
    assert "Krippendorff" in finding.threshold.source


def test_in_between_there_is_a_warning():
    finding = run(agreement, voted(0.85))
    assert finding.severity == "warning"
    assert 0.3 < finding.number.estimate < 0.667


def test_rows_on_the_same_item_are_votes():
    def rows(said):
        return [
            Binary("p", f"a{item}", label, Origin("f", 1 + 2 * item + n))
            for item, labels in enumerate(said)
            for n, label in enumerate(labels)
        ]

    agreeing = rows([(item % 2 == 0,) * 2 for item in range(40)])
    assert run(agreement, agreeing, "binary").number.estimate == 1
    opposed = rows([(True, False)] * 40)
    finding = run(agreement, opposed, "binary")
    assert finding.number.estimate < 0
    assert finding.rows[0].value == 1
    assert [o.row for o in finding.rows[0].also] == [2]


def test_a_pair_is_the_same_item_in_either_order():
    both = [Comparison("p", "a", "b", Origin("f", 1)), Comparison("p", "b", "a", Origin("f", 2))]
    finding = run(agreement, both * 10)
    assert finding.number.count == 1
    assert finding.measures[0].number.estimate == pytest.approx(0.474, abs=1e-3)


def test_ratings_are_compared_by_distance_and_the_worst_attribute_counts():
    draw = random.Random(2)
    records = []
    for item in range(160):
        worth = draw.randint(1, 5)
        for person in range(3):
            ratings = {"clear": worth + draw.choice((-0.1, 0, 0.1)), "kind": draw.randint(1, 5)}
            records.append(Rating("p", f"a{item}", ratings, Origin("f", 3 * item + person + 1)))
    finding = run(agreement, records, "rating")
    assert "kind" in finding.quantity
    assert finding.severity == "serious"
    alphas = {m.name: m.number.estimate for m in finding.measures if m.name.startswith("alpha")}
    assert alphas["alpha of clear"] > 0.95
