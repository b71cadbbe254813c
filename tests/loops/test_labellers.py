"""Labellers are pure functions of answers: what wins, what ties, what chances become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.loops.drawn import Drawn
from accordant.loops.labellers import EQUAL, ByPreference, ByReward, read_tokens
from accordant.objectives.inputs import Sequences
from accordant.objectives.kinds.ranking import ListwiseScores
from accordant.objectives.losses.policy_gradient import copg
from accordant.rewards.preference import RewardPreference, symmetric_preference
from accordant.rewards.registry import FunctionReward
from accordant.rewards.reward import Answer
from accordant.sampling.samples import Sample
from accordant.scoring.scores import Scores

FIRST = FunctionReward("first", "the first token", lambda answers: [a.tokens[0] for a in answers])


def drawn(*tokens: int, prompt: int = 1) -> Drawn:
    samples = tuple(Sample((token, 9)) for token in tokens)
    return Drawn((prompt,), samples, ("policy",) * len(tokens), version=0)


class Cyclic:
    """Rock, paper, scissors on the first token, with a lean to what is read first."""

    name = "cyclic"

    def __init__(self, lean: float = 0.0) -> None:
        self.lean = lean

    def prefer(self, first: Sequence[Answer], second: Sequence[Answer]) -> Any:
        gaps = [(a.tokens[0] - b.tokens[0]) % 3 for a, b in zip(first, second, strict=True)]
        return np.array([(0.5, 0.8, 0.2)[gap] + self.lean for gap in gaps])


def label(labeller: Any, groups: Sequence[Drawn], judge: Any, seed: int = 0) -> list[Any]:
    return labeller.label(groups, judge, read_tokens, seed)


def test_the_best_answer_is_chosen_and_the_worst_rejected() -> None:
    pair, tie = label(ByReward(), [drawn(3, 7, 1), drawn(4, 4)], FIRST)
    assert pair.example.trees[0].continuations == ((7, 9), (1, 9))
    assert pair.example.numbers == {"reward_gap": (6.0,)}
    assert pair.scores == (3.0, 7.0, 1.0)
    assert tie.example is None
    assert tie.dropped == EQUAL


def test_a_ranking_is_best_first_with_its_rewards_and_keeps_equal_answers() -> None:
    (found,) = label(ByReward("ranking"), [drawn(3, 7, 3)], FIRST)
    assert found.example.trees[0].continuations == ((7, 9), (3, 9), (3, 9))
    assert found.example.rewards == (7.0, 3.0, 3.0)
    (best,) = label(ByReward("demonstration"), [drawn(3, 7)], FIRST)
    assert best.example.trees[0].continuations == ((7, 9),)


@given(st.permutations([1, 4, 6]))
def test_permuting_answers_permutes_their_scores_alone(order: list[int]) -> None:
    (found,) = label(ByReward("ranking"), [drawn(*order)], FIRST)
    assert found.scores == tuple(map(float, order))
    assert found.example.rewards == (6.0, 4.0, 1.0)


def test_labels_are_drawn_by_their_chances_and_by_place_and_seed_alone() -> None:
    groups = [drawn(1, 0) for _ in range(2000)]
    found = label(ByPreference(), groups, Cyclic())
    wins = [item.example.trees[0].continuations[0] == (1, 9) for item in found]
    assert np.mean(wins) == pytest.approx(0.8, abs=0.03)
    assert all(item.scores == pytest.approx((0.8, 0.2)) for item in found)
    again = label(ByPreference(), groups[:100], Cyclic())
    assert [item.example for item in again] == [item.example for item in found[:100]]
    assert label(ByPreference(), groups, Cyclic(), seed=1) != found


def test_a_judge_that_leans_to_what_it_reads_first_is_straightened() -> None:
    (leaning,) = label(ByPreference(soft=True), [drawn(0, 1, 2)], Cyclic(lean=0.1))
    assert leaning.scores == pytest.approx((0.5, 0.5, 0.5))
    reward = RewardPreference(FIRST, temperature=2.0)
    answers = [read_tokens((1,), Sample((token,))) for token in (3, 5)]
    chances = symmetric_preference(reward, answers, answers[::-1])
    assert chances == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e)])
    with pytest.raises(UserError, match="expected a chance in \\[0, 1\\]"):
        symmetric_preference(Cyclic(lean=0.5), answers, answers[::-1])


def test_win_rates_and_copg_are_ipo_on_the_chances_themselves() -> None:
    tau, chances = 0.3, torch.tensor([[0.5, 0.2, 0.8], [0.8, 0.5, 0.2], [0.2, 0.8, 0.5]])
    ratios = torch.tensor([0.4, -1.1, 0.3], dtype=torch.float64, requires_grad=True)
    (found,) = label(ByPreference(soft=True), [drawn(0, 1, 2)], Cyclic())
    assert found.scores == pytest.approx(chances.mean(1).tolist())
    pairs = [(0, 1), (0, 2), (1, 2)]
    terms = [(ratios[i] - ratios[j] - (chances[i, j] - 0.5) / tau) ** 2 for i, j in pairs]
    (expected,) = torch.autograd.grad(torch.stack(terms).mean(), ratios)
    order = sorted(range(3), key=lambda at: -found.scores[at])
    index = torch.arange(3)
    policy, reference = (
        Scores(logps, index, torch.ones_like(index), torch.zeros_like(index))
        for logps in (ratios[order] - 9, torch.full((3,), -9.0, dtype=torch.float64))
    )
    rewards = torch.tensor(found.example.rewards, dtype=torch.float64)
    inputs = ListwiseScores(Sequences(policy, reference), torch.zeros_like(index), rewards)
    (gradient,) = torch.autograd.grad(copg(inputs, beta=tau).losses.sum(), ratios)
    torch.testing.assert_close(2 / tau * gradient, expected)


def test_a_drawn_label_takes_two_answers() -> None:
    with pytest.raises(ValueError, match="3 answers to a prompt"):
        label(ByPreference(), [drawn(0, 1, 2)], Cyclic())
