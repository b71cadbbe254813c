"""The study of gradient entanglement makes alike pairs and counts agreements."""

from __future__ import annotations

import torch

from accordant_studies.claims import gradient_entanglement
from accordant_studies.laboratory.language import draw_prompts, is_grammatical


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
