"""The reproduction of gradient entanglement runs, repeats itself, and shows its shape."""

from __future__ import annotations

import pytest
import torch

from accordant_studies.claims import gradient_entanglement
from accordant_studies.laboratory.language import draw_prompts, is_grammatical
from accordant_studies.laboratory.transformer import Schooling, start_model


def test_it_measures_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        gradient_entanglement, "start_model", lambda seed: start_model(seed, Schooling(prompts=600))
    )
    monkeypatch.setattr(gradient_entanglement, "PAIRS", 8)
    measured = gradient_entanglement._measure(0)
    assert set(measured) == {gradient_entanglement.ALIKE, gradient_entanglement.APART, "all pairs"}
    assert measured["all pairs"]["both directions as predicted"] > 0.9
    again = gradient_entanglement._measure(0)
    assert measured[gradient_entanglement.ALIKE] == again[gradient_entanglement.ALIKE]


def test_alike_answers_differ_in_one_word() -> None:
    for example in gradient_entanglement._alike(draw_prompts(50, 3), seed=3):
        chosen, rejected = example.trees[0].continuations
        assert is_grammatical(chosen)
        assert is_grammatical(rejected)
        assert sum(a != b for a, b in zip(chosen, rejected, strict=True)) == 1


def test_agreement_needs_both_directions() -> None:
    expected = torch.tensor([[1.0, -1.0], [1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]])
    actual = torch.tensor([[2.0, -0.1], [1.0, 0.5], [-3.0, -1.0], [-1.0, -1.0]])
    found = gradient_entanglement._summary(expected, actual)
    assert found["both directions as predicted"] == 0.5
    assert found["breaks a condition"] == 0.5
    assert found["moved together"] == 0.75


@pytest.mark.study
def test_the_shape_shows() -> None:
    assert gradient_entanglement.study().run().shows
