"""PoFT's reproduction runs, repeats itself, and corrupts what it says it corrupts."""

from __future__ import annotations

import pytest

from accordant_studies.claims import poft
from accordant_studies.laboratory import language
from accordant_studies.laboratory.transformer import Schooling, Shape


def test_it_measures_every_condition_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"DEMONSTRATIONS": 40, "STEPS": 4, "BATCH": 20, "PROMPTS": 20}.items():
        monkeypatch.setattr(poft, name, size)
    monkeypatch.setattr(poft, "SHAPE", Shape(width=32, layers=1))
    monkeypatch.setattr(poft, "Schooling", lambda: Schooling(prompts=256, epochs=1))
    result = poft.study().run((0, 1))
    assert {row.condition for row in result.rows} == {
        "start",
        "sft, clean",
        "sft, corrupted",
        "poft, clean",
        "poft, corrupted",
    }
    assert len(result.claims) == 4
    assert result == poft.study().run((0, 1))


def test_corrupted_demonstrations_name_wrong_objects_and_others_none() -> None:
    examples, bad = poft._demonstrations(language.every_prompt(0), 0.3, 5)
    assert 0.2 < sum(bad) / len(bad) < 0.4
    for example, corrupted in zip(examples, bad, strict=True):
        (answer,) = example.trees[0].continuations
        assert language.accuracy(example.trees[0].prompt, answer) == (0.0 if corrupted else 1.0)
        assert language.manner_share(answer, "rude") == 0.0
    assert not any(poft._demonstrations(language.every_prompt(0), 0.0, 5)[1])


@pytest.mark.study
def test_the_shape_shows() -> None:
    assert poft.study().run().shows
