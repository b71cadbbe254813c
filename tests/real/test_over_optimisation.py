"""Over-optimisation's reproduction on the embedded model: its gold, its curve, and that it runs."""

from __future__ import annotations

import math

import pytest

from accordant.checks.run_history import Snapshot
from accordant.sampling.samples import Sample
from accordant_studies.claims import over_optimisation as study


def test_gold_is_the_rule_times_the_share_of_known_words() -> None:
    known = frozenset({"the", "sun", "is", "a", "star"})
    assert study.gold_of("The sun is a star.", True, known) == 1.0
    assert study.gold_of("The sun is a blorf.", True, known) == pytest.approx(0.8)
    assert study.gold_of("The sun is a star.", False, known) == 0.0
    assert study.gold_of("The sun is a star. A star. The sun.", True, known) == 0.0
    assert study.gold_of("1 + 1 = 2.", True, known) == 0.0


def test_the_first_finding_knows_nothing_of_what_comes_later() -> None:
    masses = [0.9, 0.9, 0.9, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    seen = [
        Snapshot(10 * place, entropy=1.0, top_mass=mass, mass_error=0.01)
        for place, mass in enumerate(masses)
    ]
    finding = study.first_finding(seen)
    assert finding is not None
    assert finding.step is not None
    place = finding.step // 10
    assert 3 < place < len(seen) - 1
    # Up to the look before there is none, and looks after it change nothing.
    assert study.first_finding(seen[:place]) is None
    assert study.first_finding(seen[: place + 1]) == finding


def test_averages_are_over_a_centred_window() -> None:
    values = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    found = study.averaged(values)
    # A line stays a line; at its ends the window is cut.
    assert found[1:-1] == values[1:-1]
    assert (found[0], found[-1]) == (5.0, 55.0)
    assert study.averaged([3.0]) == [3.0]


def test_half_of_the_rise_is_lost_where_the_curve_says() -> None:
    gold = [0.0, 0.2, 0.6, 0.6, 0.6, 0.4, 0.2, 0.0, 0.0]
    looks = [
        study._Look(
            Snapshot(4 * place, entropy=1.0, top_mass=0.8, mass_error=0.01),
            Snapshot(4 * place, entropy=1.0, top_mass=0.8, mass_error=0.01),
            gold=value,
            gold_again=value,
            known=1.0,
        )
        for place, value in enumerate(gold)
    ]
    found = study._summary(looks, study.Arm(1e-5, 32, 4))
    assert found["peak"] == 12.0
    assert found["gold at peak"] == pytest.approx(0.6)
    assert found["half lost"] == 24.0  # the first average under 0.3
    assert found["raised"] == 0.0
    assert found["turn"] == found["raised at"] == 36.0


def test_it_measures_both_arms_and_leaves_the_start_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"PAIRS": 4, "BATCH": 2, "HELD_OUT": 2, "PROMPTS": 3, "TOKENS": 6, "SHIPPED": 2}
    for name, size in sizes.items():
        monkeypatch.setattr(study, name, size)
    monkeypatch.setattr(study, "ARMS", {study.LONG: study.Arm(3e-5, 3, 1)})
    lab = study._lab()
    before = lab.start.get_input_embeddings().weight.clone()
    (arm,) = study._measure(0).values()
    assert all(map(math.isfinite, arm.values()))
    assert arm["raised at"] <= 4.0
    assert before.equal(lab.start.get_input_embeddings().weight)
    assert not before.equal(lab.policy.get_input_embeddings().weight)
    # What a run begins with does not depend on the one before it.
    assert study._measure(0)[study.LONG]["gold at start"] == arm["gold at start"]


def test_words_of_the_feedback_are_known_and_an_answer_without_tokens_is_worth_nothing() -> None:
    lab = study._lab()
    assert {"the", "plants", "sun"} <= lab.known
    assert "blorf" not in lab.known
    assert study._mean_gold(lab, [Sample((), ())]) == 0.0
