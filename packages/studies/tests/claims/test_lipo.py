"""LiPO's study: every loss learns from the same lists."""

from __future__ import annotations

from accordant_studies.claims import lipo
from accordant_studies.laboratory.language import every_prompt
from accordant_studies.laboratory.transformer import Schooling, start_model


def _hardly_schooled(seed: int) -> object:
    return start_model(seed, Schooling(prompts=128, epochs=1))


def test_pairs_are_the_ends_of_the_lists() -> None:
    lists, pairs = lipo._data(_hardly_schooled(0), every_prompt(0)[:12], seed=1)
    ends = {
        example.trees[0].prompt: (answers[0], answers[-1])
        for example in lists
        for answers in [example.trees[0].continuations]
    }
    assert all(len(example.trees[0].continuations) == lipo.LENGTH for example in lists)
    assert pairs
    for pair in pairs:
        assert pair.trees[0].continuations == ends[pair.trees[0].prompt]
