"""CUT's study counts wrong words and flags as it says."""

from __future__ import annotations

import pytest
import torch

from accordant_studies.claims import cut
from accordant_studies.laboratory import language
from accordant_studies.laboratory.transformer import Schooling, Shape


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"READING": 64, "JUDGED": 48, "HELD_OUT": 24, "STEPS": 2, "BATCH": 16}
    for name, size in sizes.items():
        monkeypatch.setattr(cut, name, size)
    monkeypatch.setattr(cut, "SHAPE", Shape(width=32, layers=1))
    monkeypatch.setattr(cut, "Schooling", lambda: Schooling(prompts=256, epochs=1))


@pytest.mark.usefixtures("small")
def test_a_judgment_names_the_wrong_words_of_the_answer_it_stands_with() -> None:
    model = cut._reader(0)
    for example in cut._judge_own(model, language.every_prompt(0)[:20], 3):
        judged, plain = example.trees
        (answer,) = plain.continuations
        assert judged.continuations == plain.continuations
        faults = language.wrong_words(plain.prompt, answer)
        named = tuple(token for token, wrong in zip(answer, faults, strict=True) if wrong)
        assert judged.prompt == language.with_judgment(plain.prompt, named)
        assert example.label is (not named)


def test_f1_of_flags() -> None:
    flagged, wrong = torch.tensor([True, True, False]), torch.tensor([True, False, True])
    assert cut._f1(flagged, wrong) == pytest.approx(0.5)
    assert cut._f1(wrong, wrong) == 1.0
    assert cut._f1(torch.zeros(3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool)) == 0.0
