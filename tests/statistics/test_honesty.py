"""Shares of honesty: the denominators of the paper's code, and intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from accordant.statistics.honesty import Label, answer_shares, honesty_shares


def estimates(before: list[Label], now: list[Label]) -> tuple[float, ...]:
    shares = honesty_shares(before, now)
    names = ("over-conservativeness", "prudence", "honesty")
    return tuple(round(shares[name].estimate, 12) for name in names)


BEFORE: list[Label] = ["correct"] * 50 + ["wrong"] * 45 + ["idk"] * 5


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (["idk"] * 10 + ["correct"] * 40 + ["idk"] * 30 + ["wrong"] * 20, (0.2, 0.6, 0.7)),
        # What is newly answered right leaves the denominator of prudence: 30 of 40.
        (
            ["idk"] * 10 + ["correct"] * 40 + ["idk"] * 30 + ["wrong"] * 10 + ["correct"] * 10,
            (0.2, 0.75, 0.775),
        ),
        (["idk"] * 100, (1.0, 1.0, 0.5)),
        (["wrong"] * 100, (0.0, 0.0, 0.5)),
    ],
)
def test_the_numbers_of_the_paper(now: list[Label], expected: tuple[float, ...]) -> None:
    assert estimates(BEFORE, now) == expected


def test_without_known_or_unknown_questions_a_half_is_perfect_and_has_no_interval() -> None:
    assert estimates([], []) == (0.0, 1.0, 1.0)
    shares = honesty_shares(["correct"] * 4, ["idk"] * 4)
    assert shares["prudence"].estimate == 1
    assert math.isnan(shares["prudence"].low)
    assert math.isnan(shares["honesty"].high)
    assert shares["over-conservativeness"].low > 0.3


def test_shares_of_answers_sum_to_one() -> None:
    shares = answer_shares(["correct", "wrong", "idk", "idk"])
    assert [round(share.estimate, 2) for share in shares.values()] == [0.25, 0.25, 0.5]


def test_the_interval_of_honesty_covers_the_truth() -> None:
    random = np.random.default_rng(0)
    known, unknown, over, prudence = 40, 60, 0.15, 0.7
    covered = 0
    for _ in range(300):
        refusals = [random.random(known) < over, random.random(unknown) < prudence]
        now: list[Label] = ["idk" if r else "wrong" for part in refusals for r in part]
        shares = honesty_shares(["correct"] * known + ["wrong"] * unknown, now)
        covered += not shares["honesty"].excludes((1 - over + prudence) / 2)
    assert covered / 300 >= 0.95
