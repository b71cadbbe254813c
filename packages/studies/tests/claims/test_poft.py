"""PoFT's study corrupts what it says it corrupts."""

from __future__ import annotations

from accordant_studies.claims import poft
from accordant_studies.laboratory import language


def test_corrupted_demonstrations_name_wrong_objects_and_others_none() -> None:
    examples, bad = poft._demonstrations(language.every_prompt(0), 0.3, 5)
    assert 0.2 < sum(bad) / len(bad) < 0.4
    for example, corrupted in zip(examples, bad, strict=True):
        (answer,) = example.trees[0].continuations
        assert language.accuracy(example.trees[0].prompt, answer) == (0.0 if corrupted else 1.0)
        assert language.manner_share(answer, "rude") == 0.0
    assert not any(poft._demonstrations(language.every_prompt(0), 0.0, 5)[1])
