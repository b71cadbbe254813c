"""What labels reward and what a model prefers: planted factor by factor, and absent."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from accordant.checks.after.profile import profile
from accordant.checks.findings import Finding
from accordant.feedback.loading import load_feedback
from accordant.feedback.records import Comparison, Origin, Ranking
from tests.checks.after.preferring import modelled, preferring
from tests.checks.after.trained import biased, trained
from tests.checks.before.feedback import comparisons, run
from tests.checks.before.modelled import make_inputs


def measures(found: Finding) -> dict[str, float]:
    """Estimates by name, without how many pairs differ."""
    return {re.sub(r" \(.*\)", "", one.name): one.number.estimate for one in found.measures}


@pytest.mark.parametrize("sign", [1, -1])
def test_labels_that_reward_length_say_so_with_the_sign(sign: int) -> None:
    found = run(profile, preferring({"length": 1.0 * sign}))
    assert found.severity == "info"
    assert found.quantity.endswith("length")
    assert found.number.estimate * sign > 0.3
    assert found.number.excludes(0)
    assert abs(measures(found)["hedged"]) < 0.25
    way = sign > 0
    for row in found.rows[:5]:
        assert isinstance(row.passages[1].text, str)
        longer = len(row.passages[1].text) > len(row.passages[2].text)
        assert longer == way
    assert [series.name for series in found.charts[0].series] == ["feedback"]


@pytest.mark.parametrize("seed", range(4))
def test_labels_by_chance_raise_nothing(seed: int) -> None:
    found = run(profile, preferring({}, count=400, seed=seed))
    assert found.severity == "ok"
    assert found.rows == ()
    assert found.mend == ""


def test_a_model_that_took_up_the_labels_differs_in_nothing() -> None:
    liking = {"hedge": -1.5, "length": 0.5}
    records = preferring(liking, count=500)
    found = profile(modelled(records, liking))
    assert found.severity == "ok", found.sentence
    assert measures(found)["agreement of both orders of factors, Kendall's tau"] > 0.2


@pytest.mark.parametrize("sign", [1, -1])
def test_a_model_that_prefers_length_where_people_do_not_is_found(sign: int) -> None:
    records = preferring({"hedge": -1.5})
    found = profile(modelled(records, {"hedge": -1.5, "length": 1.5 * sign}))
    assert found.severity in ("warning", "serious")
    named = found.quantity.rpartition(": ")[2]
    assert "length" in found.sentence or named == "length"
    assert measures(found)["length, model"] * sign > 0.3
    assert abs(measures(found)["length, feedback"]) < 0.2
    assert len(found.charts[0].series) == 2
    # Rows are those in which the model goes with what it likes, against the label.
    for row in found.rows:
        if "length" in row.note.split(", "):
            longer = len(row.passages[1].text.split()) > len(row.passages[2].text.split())
            assert longer == (sign < 0)


def test_without_a_reference_it_is_what_the_model_finds_likelier() -> None:
    found = profile(make_inputs(preferring({"length": 5.0}, count=150)))
    assert found.severity in ("info", "warning")
    assert "the model finds likelier per token differs" in found.sentence
    assert any(name.endswith(", model") for name in measures(found))


def test_a_real_model_that_learnt_to_love_a_word_is_found() -> None:
    draw_words = ("perhaps", "surely")
    records = []
    for row in range(1, 101):
        first, second = (f"It is {word} so." for word in draw_words)
        if row % 2:
            first, second = second, first
        records.append(Comparison("Is it?", first, second, Origin("real.jsonl", row)))
    ready = trained(records, lambda model: model)
    liked = set(ready.tokenizer(" perhaps")["input_ids"]) - set(
        ready.tokenizer(" surely")["input_ids"]
    )
    found = profile(trained(records, lambda model: biased(model, dict.fromkeys(liked, 3.0))))
    assert found.severity == "serious"
    assert measures(found)["hedged, model"] > 0.9
    assert abs(measures(found)["hedged, feedback"]) < 0.1
    assert "what training made the model prefer" in found.sentence


def test_rankings_count_once_and_name_their_answers() -> None:
    answers = ("It is. So be it. Yes it is.", "It is. So be it.", "It is.")
    rankings = [Ranking(f"p{n}", answers, origin=Origin("r", n)) for n in range(1, 41)]
    found = run(profile, rankings, "ranking")
    assert found.number.count == 40
    assert found.rows[0].note.startswith("answer 1 over ")
    assert measures(found)["length"] == 1


def test_the_judges_score_is_a_factor_when_asked_for() -> None:
    ready = trained(comparisons(60), lambda model: model)
    assert "judge planted" not in measures(profile(ready))
    assert "judge planted, feedback" in measures(profile(ready, judged=True))


def test_numbers_are_finite_where_they_are_shown() -> None:
    found = profile(modelled(preferring({"thanks": 1.0}, count=120), {"length": 1.0}))
    for one in found.measures:
        assert math.isfinite(one.number.estimate)
        assert one.number.low <= one.number.high


def test_harmless_labels_reward_refusals_and_apologies(public_data: Path) -> None:
    file = public_data / "hh_rlhf_harmless" / "harmless_base_test_dev.jsonl.gz"
    found = run(profile, load_feedback(str(file), on_bad_row="skip").records)
    assert found.severity == "info"
    scores = {one.name.partition(" (")[0]: one.number for one in found.measures}
    assert scores["apologises"].low > 0.2
    assert scores["refuses"].low > 0.1
    assert abs(scores["length"].estimate) < 0.15
