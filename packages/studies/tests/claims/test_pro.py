"""PRO's reproduction: shorter rankings are parts of the longer ones, and it runs."""

from __future__ import annotations

import pytest

from accordant_studies.claims import pro
from accordant_studies.laboratory.language import every_prompt
from accordant_studies.laboratory.transformer import Schooling, start_model


def _hardly_schooled(seed: int) -> object:
    return start_model(seed, Schooling(prompts=128, epochs=1))


def test_every_prompt_has_enough_answers_that_differ() -> None:
    prompts, answers = pro._answered(_hardly_schooled(0), every_prompt(0)[:20], seed=1)
    assert len(prompts) == len(answers) > 0
    for row in answers:
        assert len(set(row)) == len(row) >= max(pro.LENGTHS)


def test_it_measures_every_length_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pro, "start_model", _hardly_schooled)
    monkeypatch.setattr(pro, "PROMPTS", 16)
    monkeypatch.setattr(pro, "EPOCHS", 1)
    monkeypatch.setattr(pro, "HELD_OUT", 4)
    result = pro.study().run((0, 1))
    names = {f"rankings of {length}" for length in pro.LENGTHS}
    assert {row.condition for row in result.rows} == {"start", pro.AS_MANY} | names
    assert len(result.claims) == 3
    assert result == pro.study().run((0, 1))


@pytest.mark.study
def test_the_shape_shows() -> None:
    assert pro.study().run().shows
