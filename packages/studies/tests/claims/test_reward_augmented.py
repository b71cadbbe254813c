"""The reward-augmented study relabels as the project does."""

from __future__ import annotations

import pytest

from accordant.feedback.relabelling import augment_with_rewards
from accordant_studies.claims import reward_augmented
from accordant_studies.laboratory import language
from accordant_studies.laboratory.transformer import Schooling, Shape, start_model


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"PAIRS": 60, "SHOWN": 64, "STEPS": 2, "BATCH": 16, "HELD_OUT": 20}.items():
        monkeypatch.setattr(reward_augmented, name, size)
    monkeypatch.setattr(reward_augmented, "SHAPE", Shape(width=32, layers=1))
    monkeypatch.setattr(
        reward_augmented, "Schooling", lambda: Schooling(prompts=1024, epochs=2, lr=4e-3)
    )


@pytest.mark.usefixtures("small")
def test_goals_in_words_become_goals_of_the_little_language() -> None:
    start = start_model(0, reward_augmented.Schooling(), reward_augmented.SHAPE)
    records = reward_augmented._graded_pairs(start, language.every_prompt(0), 0)
    augmented = augment_with_rewards(records)
    assert len(augmented.records) == 2 * len(records)
    for number, record in enumerate(records):
        plain = reward_augmented._example(record, 0).trees[0]
        high, low = (
            reward_augmented._example(one, 0).trees[0]
            for one in augmented.records[2 * number : 2 * number + 2]
        )
        grades = [int(grade) for grade in record.rewards]
        assert high.prompt == language.with_goal(plain.prompt, grades[0])
        assert low.prompt == language.with_goal(plain.prompt, grades[1])
        assert high.continuations == plain.continuations == low.continuations[::-1]


@pytest.mark.usefixtures("small")
def test_grades_follow_gold() -> None:
    start = start_model(0, reward_augmented.Schooling(), reward_augmented.SHAPE)
    for record in reward_augmented._graded_pairs(start, language.every_prompt(0), 0):
        prompt, chosen, rejected = (
            reward_augmented._tokens(text)
            for text in (record.prompt, record.chosen, record.rejected)
        )
        assert language.quality(prompt, chosen) > language.quality(prompt, rejected)
        assert record.rewards[0] >= record.rewards[1]
        assert all(0 <= grade < language.GOALS for grade in record.rewards)
