"""Properties taken apart: planted weights found, and what cannot be told apart said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accordant.base.errors import UserError
from accordant.checks.after.dissection import dissection
from accordant.checks.findings import Finding
from accordant.feedback.records import Comparison, Origin, Ranking
from accordant.statistics.interval import Interval
from tests.checks.after.preferring import HEDGE, THANKS, modelled, preferring
from tests.checks.before.feedback import run


def measured(found: Finding, name: str) -> Interval:
    return next(one.number for one in found.measures if one.name == name)


def test_what_goes_with_a_property_is_taken_apart_from_it() -> None:
    # Thanks are liked; hedges come with thanks, and nobody cares for them.
    records = preferring({"thanks": 1.5}, count=800)
    for place, record in enumerate(records):
        if place % 4:
            dressed = {
                side: HEDGE + text if THANKS in text and HEDGE not in text else text
                for side in ("chosen", "rejected")
                if isinstance(text := getattr(record, side), str)
            }
            records[place] = replace(record, **dressed)
    found = run(dissection, records, by="none")
    assert found.severity == "info"
    assert found.quantity.endswith("polite")
    polite, hedged = measured(found, "polite, labels"), measured(found, "hedged, labels")
    assert polite.low > 0.6
    assert polite.estimate > hedged.estimate + 0.1
    assert hedged.low < 0.55


@pytest.mark.parametrize("seed", range(3))
def test_labels_by_chance_raise_nothing(seed: int) -> None:
    found = run(dissection, preferring({}, count=400, seed=seed))
    assert found.severity == "ok"
    assert "None of" in found.sentence
    assert (
        measured(found, "preferences told by the properties, on pairs left out of the fit").low
        < 0.55
    )


def test_people_and_model_stand_side_by_side_and_opposites_are_a_warning() -> None:
    records = preferring({"hedge": -1.5})
    same = dissection(modelled(records, {"hedge": -3.0}))
    assert same.severity == "info"
    assert measured(same, "hedged, model").high < 0.5
    other = dissection(modelled(records, {"hedge": 3.0}))
    assert other.severity == "warning"
    listed = other.sentence.partition("the other way than the labels in: ")[2].partition(".")[0]
    assert "hedged" in listed.split(", ")
    assert measured(other, "hedged, labels").high < 0.5 < measured(other, "hedged, model").low
    assert [one.name for one in other.charts[0].series] == ["labels", "model"]


def test_rows_are_labels_that_the_properties_speak_against() -> None:
    records = preferring({"thanks": 4.0}, count=400)
    slip = next(r for r in records if THANKS in r.chosen and THANKS not in r.rejected)
    place = records.index(slip)
    records[place] = replace(slip, chosen=slip.rejected, rejected=slip.chosen)
    found = run(dissection, records, shown=20)
    values = [row.value for row in found.rows]
    assert values == sorted(values)
    assert values[-1] < 0.5
    assert place + 1 in {row.origin.row for row in found.rows if row.origin}
    row = next(row for row in found.rows if row.origin and row.origin.row == place + 1)
    assert "polite" in row.note


def test_files_are_scenarios_and_their_weights_differ() -> None:
    one = preferring({"thanks": 2.0}, 300, 1, lambda _: "one.jsonl")
    two = preferring({"thanks": -2.0}, 300, 2, lambda _: "two.jsonl")
    found = run(dissection, [*one, *two])
    assert (
        measured(found, "polite, one.jsonl").low > 0.5 > measured(found, "polite, two.jsonl").high
    )
    assert [series.name for series in found.charts[1].series] == ["one.jsonl", "two.jsonl"]
    assert len(run(dissection, [*one, *two], by="none").charts) == 1


def test_prompts_are_scenarios_by_their_length() -> None:
    found = run(dissection, preferring({"thanks": 2.0}))
    names = [series.name for series in found.charts[1].series]
    assert len(names) == 3
    assert names[0].startswith("prompts of up to ")
    assert names[2].startswith("prompts of over ")
    assert len(run(dissection, preferring({}), by="file").charts) == 1


def test_more_files_than_scenarios_can_be_are_refused_or_passed_over() -> None:
    records = preferring({"thanks": 2.0}, 130, 1, lambda row: f"folder/{row % 13}.jsonl")
    with pytest.raises(UserError, match="13 files"):
        run(dissection, records, by="file")
    names = [series.name for series in run(dissection, records).charts[1].series]
    assert names[0].startswith("prompts of up to ")


def test_what_is_rare_or_the_same_is_left_out_and_said() -> None:
    records = [
        Comparison("p", "Yes! So it is", "so it is not", Origin("f", n)) for n in range(1, 31)
    ] + [Comparison("p", "so it is not", "Yes! So it is", Origin("f", n)) for n in range(31, 61)]
    found = run(dissection, records)
    assert "fewer than 20 records differ" in found.sentence
    assert "cannot be told from it" in found.sentence
    names = {one.name for one in found.measures}
    assert "exclaims, labels" not in names  # it goes with another that stands for it


def test_exact_draws_are_near_laplace() -> None:
    records = preferring({"thanks": 1.0}, count=250)
    laplace = run(dissection, records, by="none", prior="normal", exact=False)
    exact = run(dissection, records, by="none", prior="normal", exact=True)
    pairs = zip(laplace.measures[1:], exact.measures[1:], strict=True)
    by_name = {one.name: one.number for one in exact.measures}
    for one, _ in pairs:
        assert by_name[one.name].low == pytest.approx(one.number.low, abs=0.05)
        assert by_name[one.name].high == pytest.approx(one.number.high, abs=0.05)


def test_a_ranking_weighs_as_much_as_a_comparison() -> None:
    draw = np.random.default_rng(0)
    pairs = [
        ("It is so. It is.", "It is.") if draw.random() < 0.7 else ("It is.", "It is so. It is.")
        for _ in range(60)
    ]
    once = [Comparison("p", a, b, Origin("f", n)) for n, (a, b) in enumerate(pairs, 1)]
    # Three answers of two kinds: two pairs that say the same, and one that says nothing.
    thrice = [
        Ranking("p", (a, b, b), (2.0, 1.0, 1.0), origin=Origin("f", n))
        for n, (a, b) in enumerate(pairs, 1)
    ]
    one = measured(run(dissection, once, by="none"), "length, labels")
    other = measured(run(dissection, thrice, "ranking", by="none"), "length, labels")
    assert other.estimate == pytest.approx(one.estimate)
    assert other.low == pytest.approx(one.low)
