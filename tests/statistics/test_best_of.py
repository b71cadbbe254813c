"""Averages over all subsets, against walking through the subsets."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.statistics.best_of import (
    best_of_divergence,
    best_of_win_rates,
    chances,
    selected,
    win_rate_over,
)

# Few different values, so that ties are common; minus infinity is a judge's word for no answer.
SCORES = st.lists(st.sampled_from([-math.inf, 0.0, 1.0, 2.0, 3.5]), min_size=2, max_size=6)


def worth(ours: float, other: float) -> float:
    return 1.0 if ours > other else 0.5 if ours == other else 0.0


@given(SCORES)
def test_best_of_win_rates_average_over_every_subset_and_further_answer(
    scores: list[float],
) -> None:
    found = best_of_win_rates(scores)
    for k in range(1, len(scores)):
        outcomes = [
            worth(max(subset), other)
            for place, other in enumerate(scores)
            for subset in itertools.combinations(scores[:place] + scores[place + 1 :], k)
        ]
        assert found[k - 1] == pytest.approx(np.mean(outcomes))
    assert found[0] == pytest.approx(0.5)
    assert (np.diff(found) >= -1e-12).all()


@given(SCORES)
def test_chances_are_the_wins_over_the_other_answers(scores: list[float]) -> None:
    found = chances(scores)
    for place, score in enumerate(scores):
        others = scores[:place] + scores[place + 1 :]
        assert found[place] == pytest.approx(np.mean([worth(score, one) for one in others]))
    assert found.mean() == pytest.approx(0.5)


@given(SCORES, SCORES)
def test_two_sides_share_every_win(ours: list[float], theirs: list[float]) -> None:
    assert win_rate_over(ours, theirs) + win_rate_over(theirs, ours) == pytest.approx(1.0)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0]), st.floats(-3, 3)), min_size=1, max_size=6)
)
def test_selected_averages_over_every_subset(answers: list[tuple[float, float]]) -> None:
    proxy, value = zip(*answers, strict=True)
    found = selected(proxy, value)
    for k in range(1, len(answers) + 1):
        means = []
        for subset in itertools.combinations(range(len(answers)), k):
            best = max(proxy[i] for i in subset)
            # Equal proxies are broken by a coin: over subsets that is the mean of all such answers.
            means.append(np.mean([v for p, v in answers if p == best]))
        assert found[k - 1] == pytest.approx(np.mean(means), abs=1e-9)


def test_a_proxy_that_is_the_worth_never_falls() -> None:
    draws = np.random.default_rng(0).normal(size=12)
    curve = selected(draws, draws)
    assert (np.diff(curve) > 0).all()
    assert curve[-1] == pytest.approx(draws.max())
    assert selected(-draws, draws)[-1] == pytest.approx(draws.min())


def test_divergence_of_the_best_is_exact_for_answers_that_never_repeat() -> None:
    # Over m equally likely answers the best of k has probabilities (i^k - (i - 1)^k) / m^k.
    m = 2000
    for k in (1, 2, 5):
        ranks = np.arange(1, m + 1) / m
        chosen = ranks**k - (ranks - 1 / m) ** k
        exact = float((chosen * np.log(chosen * m)).sum())
        assert best_of_divergence(k) == pytest.approx(exact, abs=2e-3)
        assert exact <= best_of_divergence(k) + 1e-9
    with pytest.raises(ValueError, match="best of 0"):
        best_of_divergence(0)
