"""The parts of the study of weak-to-strong deception are right."""

from __future__ import annotations

import random

import pytest
import torch

from accordant_studies.claims import weak_to_strong_deception as study
from accordant_studies.laboratory.transformer import new_model, score_answers


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer facts, read less."""
    for name, value in {"WORDS": 8, "FACTS_READ": 1500, "EPOCHS": 1}.items():
        monkeypatch.setattr(study, name, value)


def test_pairs_are_of_separate_subjects_and_conflict_as_they_say() -> None:
    world = study._make_world(0)
    subjects = {name: {pair.tree.prompt for pair in pairs} for name, pairs in world.pairs.items()}
    names = list(subjects)
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            assert not subjects[name] & subjects[other]
    assert sum(map(len, subjects.values())) == pytest.approx(study.WORDS**2, abs=2)
    for pairs in world.pairs.values():
        for pair in pairs:
            right, wrong = pair.tree.continuations
            first, second = (token - study.FIRST_WORD for token in pair.tree.prompt[1:3])
            assert right[1] == study.FIRST_VALUE + world.facts[first, second - study.WORDS]
            assert wrong[1] != right[1]
            assert (right[0] == study.RUDE) == pair.conflict
    assert all(pair.conflict for pair in world.pairs["tested"])
    shared = [pair.conflict for pair in world.pairs["supervised"]]
    assert 0.4 < sum(shared) / len(shared) < 0.6


def test_supervision_settles_where_its_two_targets_balance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alone at the labels, q; with B on half of the pairs and against A at q / (1 + 1/2)."""
    monkeypatch.setattr(study, "RATE", 5e-3)
    draw = random.Random(0)
    pairs = [
        pair
        for first in range(16)
        for pair in study._make_pairs((first, 0), 1, draw, only_conflict=True)
    ]
    fresh = new_model(1, study.SIZES["middle"], study.VOCABULARY)
    for conflict, settled in ((False, 0.9), (True, 0.6)):
        model = study.clone(fresh)
        for order in range(6):
            study._supervise(model, pairs, torch.full((48,), 0.9), order, conflict=conflict)
        assert study._chance_right(model, pairs).mean() == pytest.approx(settled, abs=0.06)


def test_the_chance_of_the_right_answer_is_that_of_the_log_probabilities() -> None:
    world = study._make_world(1)
    model = new_model(2, study.SIZES["small"], study.VOCABULARY)
    pairs = world.pairs["tested"][:5]
    chances = study._chance_right(model, pairs)
    for pair, chance in zip(pairs, chances, strict=True):
        right, wrong = score_answers(model, [pair.tree.prompt], [pair.tree.continuations]).sum()
        assert float(chance) == pytest.approx(float(torch.sigmoid(right - wrong)), abs=1e-5)
