"""CHES scores, against worked numbers and their properties; edit distances, against the table."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.checks.similarity import (
    ches_scores,
    edit_distance,
    edit_similarity,
    normalised_ches_scores,
    read_similarities,
)
from accordant.scoring.scores import Scores

WORDS = st.lists(st.integers(0, 3), max_size=12)


def scores_of(states: list[list[list[float]]]) -> Scores:
    """Scores of answers given by the states that predict their tokens."""
    lengths = torch.tensor([len(answer) for answer in states])
    hidden = torch.tensor([state for answer in states for state in answer])
    owner = torch.repeat_interleave(torch.arange(len(states)), lengths)
    nothing = torch.full((len(hidden),), float("nan"))
    return Scores(nothing, owner, lengths, torch.arange(len(states)), hidden=hidden)


def similarities(chosen: list[list[float]], rejected: list[list[float]]) -> list[float]:
    scores = scores_of([chosen, rejected])
    found: list[float] = read_similarities(scores, torch.tensor([0]), torch.tensor([1]))[0].tolist()
    return found


def test_the_worked_example() -> None:
    chosen, rejected = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.5], [0.5, 1.0], [0.0, 1.0]]
    normalised, plain, last = similarities(chosen, rejected)
    assert plain == pytest.approx(2.0, abs=1e-12)
    assert normalised == pytest.approx(1 / 6, abs=1e-6)
    assert last == pytest.approx(1.0, abs=1e-12)


@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_equal_answers_score_zero_and_states_count_squared(seed: int, factor: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    chosen, rejected = torch.randn(2, 5, 8, generator=generator, dtype=torch.float64)
    assert ches_scores(chosen, chosen).abs().max() == 0
    torch.testing.assert_close(
        ches_scores(factor * chosen, factor * rejected), factor**2 * ches_scores(chosen, rejected)
    )
    one = torch.ones(5, dtype=torch.float64)
    torch.testing.assert_close(
        normalised_ches_scores(chosen, rejected, one, one), ches_scores(chosen, rejected)
    )


def test_repeating_every_state_changes_the_plain_score_alone() -> None:
    chosen, rejected = [[1.0, 2.0], [0.5, 0.0]], [[1.0, -1.0]]
    normalised, plain, _ = similarities(chosen, rejected)
    twice, four_times, _ = similarities(chosen * 2, rejected * 2)
    assert (twice, four_times) == pytest.approx((normalised, 4 * plain))


def table_distance(first: list[int], second: list[int]) -> int:
    row = list(range(len(second) + 1))
    for place, token in enumerate(first, 1):
        above, row = row, [place]
        for column, other in enumerate(second, 1):
            replaced = above[column - 1] + (token != other)
            row.append(min(above[column] + 1, row[-1] + 1, replaced))
    return row[-1]


@given(WORDS, WORDS)
def test_edit_distance_is_that_of_the_table(first: list[int], second: list[int]) -> None:
    assert edit_distance(first, second) == table_distance(first, second)
    assert edit_distance(first, second) == edit_distance(second, first)


def test_edit_similarity_is_a_share_of_the_longer_answer() -> None:
    assert edit_similarity([1, 2, 3, 4], [1, 2]) == -0.5
    assert edit_similarity([7, 8], [7, 8]) == 0
    assert edit_similarity([1], [2, 3, 4]) == -1
