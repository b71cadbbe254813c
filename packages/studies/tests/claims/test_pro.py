"""PRO's study: shorter rankings are parts of the longer ones."""

from __future__ import annotations

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
