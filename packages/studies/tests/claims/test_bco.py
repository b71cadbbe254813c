"""BCO's study asks what it says, and gives thumbs by gold."""

from __future__ import annotations

import pytest

from accordant_studies.claims import bco
from accordant_studies.laboratory.language import objects_of, quality
from accordant_studies.laboratory.transformer import Schooling, start_model


def _hardly_schooled(seed: int) -> object:
    return start_model(seed, Schooling(prompts=128, epochs=1))


def test_either_label_is_mostly_asked_about_its_own_kind_of_prompt() -> None:
    asked = bco._ask(seed=1)
    second = [min(objects_of(prompt)) >= 4 for prompt in asked.prompts]
    assert sum(asked.wanted) == bco.EACH
    for label, share in ((True, 1 - bco.RATE), (False, bco.RATE)):
        kinds = [kind for kind, wanted in zip(second, asked.wanted, strict=True) if wanted == label]
        assert sum(kinds) / len(kinds) == pytest.approx(share, abs=0.05)


def test_thumbs_go_by_gold_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bco, "EACH", 20)
    asked, start = bco._ask(seed=2), _hardly_schooled(0)
    examples = bco._thumbs(start, asked, seed=3)
    pairs = bco.sample(start, asked.prompts, 2, 3)
    for example, prompt, pair, up in zip(examples, asked.prompts, pairs, asked.wanted, strict=True):
        (answer,) = example.trees[0].continuations
        assert example.label is up
        other = pair[0] if answer == pair[1] else pair[1]
        gap = quality(prompt, answer) - quality(prompt, other)
        assert gap >= 0 if up else gap <= 0
