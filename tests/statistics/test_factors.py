"""Scores of factors against a count by hand, and their corrections against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau

from accordant.statistics.corrections import holm
from accordant.statistics.estimates import wilson_interval
from accordant.statistics.factors import compare_factors, score_factors
from accordant.statistics.rank_correlation import kendall_tau

SIGNS = arrays(
    np.int64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.integers(-1, 1)
)


def test_six_agree_two_disagree_two_tie() -> None:
    differences = np.array([1] * 6 + [-1] * 2 + [0] * 2)[:, None]
    found = score_factors(differences, np.ones(10), resamples=50)
    assert found.scores[0].estimate == 0.5
    assert found.scores[0].count == 8
    assert found.ties[0] == pytest.approx(0.2)
    # With ties in the denominator it is 0.4.
    assert found.scores[0].estimate * (1 - found.ties[0]) == pytest.approx(0.4)


@given(SIGNS, st.randoms(use_true_random=False))
def test_swapping_the_answers_of_pairs_changes_nothing(signs: np.ndarray, draw) -> None:
    preferred = np.array([draw.choice([-1, 0, 1]) for _ in signs])
    swap = np.array([draw.choice([-1, 1]) for _ in signs])
    one = score_factors(signs, preferred, resamples=5)
    other = score_factors(signs * swap[:, None], preferred * swap, resamples=5)
    for a, b in zip(one.scores, other.scores, strict=True):
        assert a == b or (np.isnan(a.estimate) and np.isnan(b.estimate))
        assert np.isnan(a.estimate) or -1 <= a.estimate <= 1
    assert np.array_equal(one.p_values, other.p_values)


def test_a_factor_that_always_wins_has_an_interval() -> None:
    found = score_factors(np.ones((20, 1)), np.ones(20)).scores[0]
    share = wilson_interval(20, 20)
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(2 * share.low - 1)
    assert found.low < 0.8


def test_amounts_count_by_their_sign_alone_and_length_itself_scores_one() -> None:
    draw = np.random.default_rng(0)
    lengths = draw.normal(size=(60, 2))
    found = score_factors(lengths, lengths[:, 0], resamples=200)
    assert found.scores[0].estimate == 1
    assert abs(found.scores[1].estimate) < 0.5
    assert found.scores[1].low < found.scores[1].estimate < found.scores[1].high


def test_pairs_of_a_unit_are_drawn_together_and_tested_once() -> None:
    draw = np.random.default_rng(1)
    own = draw.choice([-1, 1], size=(40, 1), p=[0.3, 0.7])
    alone = score_factors(own, np.ones(40))
    copied = score_factors(np.repeat(own, 6, axis=0), np.ones(240), np.repeat(np.arange(40), 6))
    assert copied.scores == alone.scores
    assert copied.p_values[0] == alone.p_values[0]
    apart = score_factors(np.repeat(own, 6, axis=0), np.ones(240))
    assert apart.scores[0].high - apart.scores[0].low < alone.scores[0].high - alone.scores[0].low


def test_the_interval_covers_what_it_should() -> None:
    draw, covered = np.random.default_rng(2), 0
    for _ in range(300):
        signs = draw.choice([-1, 0, 1], size=(150, 1), p=[0.25, 0.25, 0.5])
        found = score_factors(signs, np.ones(150), resamples=300).scores[0]
        covered += found.low <= (0.5 - 0.25) / 0.75 <= found.high
    assert 0.91 < covered / 300 < 0.98


def test_two_who_differ_in_one_factor_are_told_apart_in_it() -> None:
    draw = np.random.default_rng(3)
    signs = draw.choice([-1, 1], size=(600, 4))
    people = np.where(draw.random(600) < 0.8, signs[:, 0], -signs[:, 0])
    # The other agrees with the first in 70 % of pairs, and else goes by factor 1.
    other = np.where(draw.random(600) < 0.7, people, signs[:, 1])
    found = compare_factors(signs, people, other)
    assert found.differences[1].low > 0.1
    assert holm(found.p_values).tolist() == [True, True, False, False]
    assert found.differences[0].high < 0  # it goes less by factor 0
    score = found.second.scores[1].estimate - found.first.scores[1].estimate
    assert found.differences[1].estimate == pytest.approx(score)


def test_two_who_agree_have_no_difference() -> None:
    draw = np.random.default_rng(4)
    signs, people = draw.choice([-1, 0, 1], size=(80, 5)), draw.choice([-1, 1], size=80)
    found = compare_factors(signs, people, people * 3.5, resamples=200)
    assert all(one.estimate == one.low == one.high == 0 for one in found.differences)
    assert found.agreement.estimate == pytest.approx(1)
    assert (found.p_values == 1).all()
    turned = compare_factors(signs, people, -people, resamples=200)
    assert turned.agreement.estimate == pytest.approx(-1)


def test_false_alarms_over_all_factors_are_rare() -> None:
    draw, alarms = np.random.default_rng(5), 0
    for _ in range(200):
        signs = draw.choice([-1, 0, 1], size=(120, 10))
        first, second = draw.choice([-1, 1], size=(2, 120))
        alarms += holm(compare_factors(signs, first, second, resamples=2).p_values).any()
    assert alarms / 200 < 0.09


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=15),
)
def test_kendalls_tau_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    expected = float(kendalltau(first, second).statistic)
    assert float(kendall_tau(first, second)) == pytest.approx(expected, nan_ok=True)


def test_no_pairs_say_nothing() -> None:
    found = score_factors(np.zeros((0, 2)), np.zeros(0))
    assert all(np.isnan(one.estimate) and np.isnan(one.low) for one in found.scores)
    both = compare_factors(np.zeros((3, 2)), np.ones(3), np.ones(3), resamples=5)
    assert np.isnan(both.differences[0].estimate)
    assert np.isnan(both.agreement.estimate)
    assert (both.p_values == 1).all()


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        score_factors(np.ones((3, 2)), np.ones(4))
