"""`accordant reproduce`: what it prints, and how its exit code tells what was found."""

from __future__ import annotations

import json
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accordant.catalogue import get_system, registry
from accordant_studies.study import Claim, Measured, Study
from accordant_studies.verbs import reproduce


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.SimpleNamespace:
    """The study of a made-up system, which stands there for the length of a test."""
    toy = types.SimpleNamespace(gain=1.0, interrupted_at=None, asked=[])
    monkeypatch.chdir(tmp_path)

    def measure(seed: int) -> Measured:
        toy.asked.append(seed)
        if seed == toy.interrupted_at:
            raise KeyboardInterrupt
        return {
            "plain": {"score": 0.1 * seed},
            "toy": {"score": 0.1 * seed + toy.gain + 0.01 * seed},
        }

    claims = (Claim("toy beats plain", "score", higher="toy", than="plain"),)
    study = Study(measure, (0, 1, 2, 3), claims, "Simulated.", {"score": "points"})
    record = replace(get_system("steer"), slug="toy", claim="A toy beats none.")
    monkeypatch.setitem(registry._BY_SLUG, "toy", record)
    monkeypatch.setattr(reproduce, "get_study", lambda _: study)
    return toy


def test_reproduce_prints_claim_and_measurement_and_exits_0_when_it_shows(
    cli: Any, toy: types.SimpleNamespace
) -> None:
    result = cli("reproduce", "toy")
    assert result.exit_code == 0
    beside = next(line for line in result.stdout.splitlines() if "A toy beats none." in line)
    assert "yes: toy beats plain" in beside
    assert "The claim's shape shows: 1 of 1 checks hold with 4 seeds." in result.stdout
    assert "Simulated." in result.stdout


def test_reproduce_exits_1_when_the_shape_does_not_show(
    cli: Any, toy: types.SimpleNamespace
) -> None:
    toy.gain = -1.0
    result = cli("reproduce", "toy")
    assert result.exit_code == 1
    assert "NO: toy beats plain" in result.stdout
    assert "does NOT show" in result.stdout


def test_reproduce_hands_on_the_number_of_seeds_and_prints_json(
    cli: Any, toy: types.SimpleNamespace
) -> None:
    result = cli("reproduce", "toy", "--seeds", "6", "--json")
    found = json.loads(result.stdout)
    assert found["seeds"] == [0, 1, 2, 3, 4, 5]
    assert found["shows"] is True
    assert found["claim"] == "A toy beats none."
    assert found["checks"][0]["holds"] is True
    assert {row["condition"] for row in found["measured"]} == {"plain", "toy"}
    low, high = (found["checks"][0]["evidence"][end] for end in ("low", "high"))
    assert low <= found["checks"][0]["evidence"]["estimate"] <= high


def test_reproduce_runs_the_seeds_that_are_named(cli: Any, toy: types.SimpleNamespace) -> None:
    found = json.loads(cli("reproduce", "toy", "--seeds", "100:103", "--json").stdout)
    assert found["seeds"] == toy.asked == [100, 101, 102]
    for wrong in ("1", "5:6", "6:2", "many"):
        refused = cli("reproduce", "toy", "--seeds", wrong)
        assert refused.exit_code == 2
        assert "100:112" in refused.stderr


def test_an_interruption_keeps_seeds_and_resume_goes_on(
    cli: Any, toy: types.SimpleNamespace
) -> None:
    toy.interrupted_at = 2
    stopped = cli("reproduce", "toy")
    assert stopped.exit_code == 130
    assert "--resume" in stopped.stderr
    assert "seed 0, 1 of 4" in stopped.stderr
    toy.interrupted_at = None
    resumed = cli("reproduce", "toy", "--resume")
    assert resumed.exit_code == 0
    assert toy.asked == [0, 1, 2, 2, 3]
    assert "2 of 4 seeds are in" in resumed.stderr
    # Without --resume everything is measured again.
    cli("reproduce", "toy")
    assert toy.asked[5:] == [0, 1, 2, 3]


def test_a_dry_run_says_what_will_be_looked_for(cli: Any, toy: types.SimpleNamespace) -> None:
    planned = cli("reproduce", "toy", "--dry-run").stdout
    assert "toy beats plain" in planned
    assert "4 seeds: 0, 1, 2, 3." in planned
    assert toy.asked == []
