"""Over-optimisation's reproduction runs, repeats itself, and asks the check as a monitor does."""

from __future__ import annotations

import math

import pytest

from accordant.catalogue.laboratory.language import every_prompt, quality
from accordant.catalogue.laboratory.transformer import Schooling, Shape, start_model
from accordant.catalogue.reproductions import over_optimisation as study
from accordant.diagnostics.watched import Measurement


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"STEPS": 6, "EVERY": 1, "BATCH": 8, "HELD_OUT": 12}
    for name, size in sizes.items():
        monkeypatch.setattr(study, name, size)
    arms = {study.LONG: study.Arm(16, 1, 0.5, 0.2), study.CONTROL: study.Arm(20, 2, 0, 0.5)}
    monkeypatch.setattr(study, "ARMS", arms)
    monkeypatch.setattr(study, "SHAPE", Shape(width=32, layers=1))
    monkeypatch.setattr(study, "Schooling", lambda: Schooling(prompts=512, epochs=1))


@pytest.mark.usefixtures("small")
def test_it_measures_both_arms_and_repeats_itself() -> None:
    measured = study._measure(0)
    assert set(measured) == {study.LONG, study.CONTROL}
    for arm in measured.values():
        assert all(map(math.isfinite, arm.values()))
        assert arm["raised at"] <= study.STEPS + study.EVERY
    assert measured == study._measure(0)


@pytest.mark.usefixtures("small")
def test_labels_are_turned_round_as_often_as_said() -> None:
    start = start_model(0, study.Schooling(), study.SHAPE)
    prompts = every_prompt(0)
    for share in (0.0, 0.25, 1.0):
        pairs = study._pairs(start, prompts, study.Arm(len(prompts), 1, share, 0.1), seed=5)
        trees = [pair.trees[0] for pair in pairs]
        gaps = [
            quality(t.prompt, t.continuations[0]) - quality(t.prompt, t.continuations[1])
            for t in trees
        ]
        assert all(gap != 0 for gap in gaps)
        wrong = sum(gap < 0 for gap in gaps) / len(gaps)
        # Four standard errors.
        assert abs(wrong - share) <= 4 * math.sqrt(share * (1 - share) / len(gaps))


def test_the_first_finding_knows_nothing_of_what_comes_later() -> None:
    entropies = [1.0, 1.2, 1.4, 1.4, 1.2, 1.1, 1.0, 0.9, 0.8]
    masses = [0.9, 0.9, 0.9, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    seen = [
        Measurement(10 * place, entropy=entropy, top_mass=mass)
        for place, (entropy, mass) in enumerate(zip(entropies, masses, strict=True))
    ]
    finding = study.first_finding(seen)
    assert finding is not None
    assert finding.step is not None
    place = finding.step // 10
    assert 3 < place < len(seen) - 1
    # Up to the look before there is none, and looks after it change nothing.
    assert study.first_finding(seen[:place]) is None
    assert study.first_finding(seen[: place + 1]) == finding
    assert study.first_finding(seen[:4]) is None


def test_averages_are_over_a_centred_window() -> None:
    values = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    found = study.averaged(values)
    # A line stays a line; at its ends the window is cut.
    assert found[2:-2] == values[2:-2]
    assert found[0] == 10.0
    assert found[-1] == 50.0
    assert study.averaged([3.0]) == [3.0]


@pytest.mark.study
def test_gold_rises_and_falls_and_nothing_turns_before_its_peak() -> None:
    rises, falls, _, raised, turns, *_ = study.reproduce(None).checks
    assert not raised.holds
    assert not turns.holds
    assert rises.holds
    assert falls.holds
