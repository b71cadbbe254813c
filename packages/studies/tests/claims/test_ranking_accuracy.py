"""The study of ranking accuracy: votes follow gold."""

from __future__ import annotations

import pytest

from accordant_studies.claims import ranking_accuracy
from accordant_studies.laboratory.language import draw_prompts, quality
from accordant_studies.laboratory.transformer import Schooling, start_model


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quicker school and fewer pairs."""
    monkeypatch.setattr(
        ranking_accuracy, "start_model", lambda seed: start_model(seed, Schooling(prompts=600))
    )
    for name, value in {"PAIRS": 64, "HELD_OUT": 64, "EPOCHS": 2}.items():
        monkeypatch.setattr(ranking_accuracy, name, value)


def test_votes_follow_gold_and_the_majority_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    model = start_model(1, Schooling(prompts=600))
    examples = ranking_accuracy._voted_pairs(model, 80, seed=1)
    gaps = []
    for example in examples:
        won, lost = example.numbers["votes"]
        assert won > lost
        tree = example.trees[0]
        gaps.append(
            quality(tree.prompt, tree.continuations[0])
            - quality(tree.prompt, tree.continuations[1])
        )
    assert sum(gap > 0 for gap in gaps) > 2 * sum(gap < 0 for gap in gaps)
    assert len({example.trees[0].prompt for example in examples}) > 40
    assert draw_prompts(3, 5) == draw_prompts(3, 5)
