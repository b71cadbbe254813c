"""Reward augmentation: every scored comparison twice, under the goal of either score."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.feedback.records import Comparison, Demonstration, Message, Origin
from accordant.feedback.relabelling import GOAL, augment_with_rewards, with_goal
from accordant.objectives.inputs import Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.pairwise import dpo
from accordant.scoring.scores import from_lists

score = st.integers(-5, 10).map(float)


def scored(chosen: float, rejected: float, row: int = 1) -> Comparison:
    origin = Origin("pairs.jsonl", row)
    return Comparison("What do bees make?", "Honey.", "Wax.", origin, rewards=(chosen, rejected))


def test_either_answer_is_preferred_under_the_goal_of_its_own_score() -> None:
    augmented = augment_with_rewards([scored(9.0, 7.5)])
    high, low = augmented.records
    assert high.prompt == "Give an answer of quality 9.\n\nWhat do bees make?"
    assert (high.chosen, high.rejected) == ("Honey.", "Wax.")
    assert low.prompt == "Give an answer of quality 7.5.\n\nWhat do bees make?"
    assert (low.chosen, low.rejected) == ("Wax.", "Honey.")
    assert high.origin == low.origin == Origin("pairs.jsonl", 1)
    assert augmented.best == 9.0


@given(st.lists(st.tuples(score, score), min_size=1, max_size=8))
def test_records_double_and_equal_scores_are_kept_both_ways_round(rows) -> None:
    records = [scored(w, r, n) for n, (w, r) in enumerate(rows, 1)]
    if all(w == r for w, r in rows):
        with pytest.raises(UserError, match="score both answers alike"):
            augment_with_rewards(records)
        return
    augmented = augment_with_rewards(records)
    assert len(augmented.records) == 2 * len(records)
    for (w, r), own, others in zip(
        rows, augmented.records[0::2], augmented.records[1::2], strict=True
    ):
        # As in the authors' code: under each answer's own score it is preferred to the other.
        assert (own.chosen, own.rejected) == (others.rejected, others.chosen)
        assert (own.prompt == others.prompt) == (f"{w:g}" == f"{r:g}")
    assert augmented.best == max(max(row) for row in rows)
    # A goal's own answer scores zero under it, the other one minus the squared distance.
    assert all(r.rewards[0] == 0 >= r.rewards[1] for r in augmented.records)


@given(st.floats(-20, 20), st.floats(0.05, 2))
def test_without_the_goal_the_two_labels_cancel(margin: float, beta: float) -> None:
    def loss(margin: float) -> float:
        chosen, rejected = (
            Sequences(
                from_lists([[h]], dtype=torch.float64), from_lists([[0.0]], dtype=torch.float64)
            )
            for h in (margin, 0.0)
        )
        both = (PairwiseScores(chosen, rejected), PairwiseScores(rejected, chosen))
        return sum(dpo(pairs, beta=beta).losses.item() for pairs in both)

    # A policy that does not read the goal gives both the same margin: best at none at all.
    assert loss(margin) >= loss(0.0) - 1e-12
    assert loss(0.0) == pytest.approx(2 * math.log(2))


def test_a_goal_stands_in_the_system_turn_or_before_a_plain_prompt() -> None:
    turns = (
        Message("system", "Be brief."),
        Message("user", "Hello."),
        Message("assistant", "Yes?"),
        Message("user", "Name a fruit."),
    )
    asked = with_goal(turns, 10.0)
    assert asked[1:] == turns[1:]
    assert asked[0].content == "Be brief.\n\nGive an answer of quality 10."
    assert with_goal(turns[1:], 10.0) == (
        Message("system", "Give an answer of quality 10."),
        *turns[1:],
    )
    assert with_goal("Name one.", 0.25, "[{score}]") == "[0.25]\n\nName one."
    assert "{score}" in GOAL


def test_comparisons_without_scores_are_named() -> None:
    bare = Comparison("a", "b", "c", Origin("pairs.jsonl", 2))
    with pytest.raises(UserError, match="this comparison has no scores") as error:
        augment_with_rewards([scored(2, 1), bare])
    assert error.value.where == "pairs.jsonl, row 2"
    assert "score_chosen" in error.value.mend


def test_other_feedback_is_refused() -> None:
    with pytest.raises(UserError, match="only comparisons") as error:
        augment_with_rewards([Demonstration("a", "b")], "answers.jsonl")
    assert error.value.where == "answers.jsonl"
