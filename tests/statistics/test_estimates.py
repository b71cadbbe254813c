from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from accordant.statistics import estimates
from accordant.statistics.estimates import (
    area_under_curve,
    bootstrap_mean,
    bootstrap_median_of_means,
    bootstrap_ratio,
    clopper_pearson_interval,
    draw_sums,
    median_share,
    paired_difference,
    percentile_interval,
    proportion,
    sign_test,
    to_floats,
    wilson_interval,
    win_rate,
)

numbers = st.floats(-100, 100).map(lambda x: round(x, 3))
samples = st.lists(numbers, min_size=2, max_size=30)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_ends_of_a_wilson_interval_solve_the_score_equation(case):
    successes, count = case
    interval = wilson_interval(successes, count)
    share, z = successes / count, 1.959963984540054
    for end in (interval.low, interval.high):
        wanted = z * math.sqrt(end * (1 - end) / count)
        # 0 and 1 solve it trivially where nothing or everything succeeded.
        assert abs(share - end) == pytest.approx(wanted, abs=1e-9)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1


@pytest.mark.parametrize("count", [20, 80, 300])
def test_wilson_intervals_cover_the_truth_as_often_as_they_say(count):
    intervals = [wilson_interval(successes, count) for successes in range(count + 1)]
    coverages = []
    for truth in np.linspace(0.02, 0.98, 97):
        chances = binom.pmf(range(count + 1), count, truth)
        covers = [interval.low <= truth <= interval.high for interval in intervals]
        coverages.append(chances @ np.array(covers))
    assert np.mean(coverages) == pytest.approx(0.95, abs=0.012)
    assert min(coverages) > 0.85


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_ends_of_a_clopper_pearson_interval_are_what_just_so_often_gives_the_count(case):
    successes, count = case
    interval = clopper_pearson_interval(successes, count)
    if successes:
        assert binom.sf(successes - 1, count, interval.low) == pytest.approx(0.025)
    if successes < count:
        assert binom.cdf(successes, count, interval.high) == pytest.approx(0.025)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1


@pytest.mark.parametrize("of_nothing", [proportion([]), clopper_pearson_interval(0, 0)])
def test_a_proportion_of_nothing_claims_nothing(of_nothing):
    interval = of_nothing
    assert interval.count == 0
    assert all(math.isnan(x) for x in (interval.estimate, interval.low, interval.high))
    assert not interval.excludes(0.5)


@pytest.mark.parametrize("interval", [wilson_interval, clopper_pearson_interval])
@pytest.mark.parametrize("successes", [-1, 11])
def test_impossible_successes_are_refused(successes, interval):
    with pytest.raises(ValueError, match=r"\[0, 10\]"):
        interval(successes, 10)


def test_a_bootstrap_has_the_quantiles_of_all_resamples_enumerated():
    values = [0.3, -1.0, 2.5, 0.9, 4.0]
    means = [np.mean(draw) for draw in itertools.product(values, repeat=5)]
    low, high = np.quantile(means, [0.1, 0.9])
    interval = bootstrap_mean(values, level=0.8, resamples=200_000, seed=1)
    assert interval.low == pytest.approx(low, abs=0.03)
    assert interval.high == pytest.approx(high, abs=0.03)


def test_a_bootstrap_of_a_ratio_draws_both_parts_together():
    top, bottom = [1.0, 8.0, 3.0, 9.0], [2.0, 4.0, 7.0, 5.0]
    pairs = list(zip(top, bottom, strict=True))
    ratios = [
        sum(a for a, _ in draw) / sum(b for _, b in draw)
        for draw in itertools.product(pairs, repeat=4)
    ]
    interval = bootstrap_ratio(top, bottom, level=0.8, resamples=200_000, seed=1)
    assert interval.estimate == pytest.approx(21 / 18)
    assert (interval.low, interval.high) == pytest.approx(np.quantile(ratios, [0.1, 0.9]), abs=0.02)


def test_bootstrap_intervals_cover_a_skewed_mean_about_as_often_as_they_say():
    random = np.random.default_rng(0)
    hits = 0
    for seed in range(300):
        interval = bootstrap_mean(random.exponential(1.0, 60), resamples=500, seed=seed)
        hits += interval.low <= 1.0 <= interval.high
    assert 0.90 <= hits / 300 <= 0.98


@given(samples, st.floats(0.1, 10), numbers)
@settings(max_examples=30)
def test_a_bootstrap_moves_and_scales_with_its_values(values, factor, shift):
    plain = bootstrap_mean(values, resamples=200)
    moved = bootstrap_mean([factor * x + shift for x in values], resamples=200)
    assert moved.low == pytest.approx(factor * plain.low + shift, abs=1e-8)
    assert moved.high == pytest.approx(factor * plain.high + shift, abs=1e-8)


@given(samples)
@settings(max_examples=30)
def test_a_bootstrap_lies_within_its_values_and_repeats_itself(values):
    interval = bootstrap_mean(values, resamples=200)
    assert min(values) - 1e-9 <= interval.low <= interval.high <= max(values) + 1e-9
    assert interval == bootstrap_mean(values, resamples=200)


def test_drawing_a_bootstrap_in_parts_changes_nothing(monkeypatch):
    values = np.random.default_rng(1).normal(size=50)
    whole = bootstrap_mean(values, resamples=333)
    monkeypatch.setattr(estimates, "_DRAWS_AT_ONCE", 170)
    assert bootstrap_mean(values, resamples=333) == whole


def test_one_unit_has_an_estimate_and_no_interval():
    interval = bootstrap_mean([3.0])
    assert interval.estimate == 3.0
    assert math.isnan(interval.low)
    assert not interval.excludes(0.0)


def test_pairing_removes_what_units_differ_in():
    random = np.random.default_rng(2)
    before = random.normal(0, 100, 40)
    after = before + random.normal(1, 0.1, 40)
    difference = paired_difference(before, after)
    assert difference.excludes(0.0)
    assert difference.high - difference.low < 0.1
    mirrored = paired_difference(after, before)
    assert mirrored.estimate == pytest.approx(-difference.estimate)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_sums_the_binomial_tail_exactly(wins, losses):
    decided = wins + losses
    tail = sum(math.comb(decided, k) for k in range(min(wins, losses) + 1)) / 2**decided
    assert sign_test(wins, losses) == pytest.approx(min(1.0, 2 * tail))


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=80))
@settings(max_examples=40)
def test_a_win_rate_counts_ties_half_and_mirrors(outcomes):
    rate, mirrored = win_rate(outcomes), win_rate([1 - x for x in outcomes])
    assert rate.estimate == pytest.approx(np.mean(outcomes))
    assert mirrored.estimate == pytest.approx(1 - rate.estimate)
    assert rate.low <= rate.estimate <= rate.high


def test_winning_every_time_is_not_reported_as_certain():
    rate = win_rate(np.ones(20))
    assert rate.high == 1.0
    assert 0.8 < rate.low < 0.9
    assert rate == proportion(np.ones(20))


def test_other_outcomes_than_win_tie_and_loss_are_refused():
    with pytest.raises(ValueError, match="0 \\(loss\\)"):
        win_rate([0.0, 0.7])


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=15), st.lists(st.integers(0, 6), min_size=1)
)
@settings(max_examples=50)
def test_the_area_is_the_share_of_pairs_in_order(positive, negative):
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    area = area_under_curve(positive, negative)
    assert area.estimate == pytest.approx(np.mean(pairs))
    assert 0 <= area.low <= area.estimate <= area.high <= 1
    mirrored = area_under_curve(negative, positive)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - area.high, 1 - area.low), abs=1e-6)


def test_separated_samples_do_not_make_the_area_certain():
    area = area_under_curve(np.arange(10.0) + 100, np.arange(10.0))
    assert area.estimate == area.high == 1.0
    assert 0.6 < area.low < 0.95


def test_area_intervals_cover_the_truth_about_as_often_as_they_say():
    from scipy.stats import norm

    random, truth = np.random.default_rng(3), norm.cdf(1 / math.sqrt(2))
    hits = 0
    for _ in range(300):
        area = area_under_curve(random.normal(1, 1, 30), random.normal(0, 1, 30))
        hits += area.low <= truth <= area.high
    assert 0.92 <= hits / 300 <= 0.99


def test_tensors_of_any_kind_are_read_as_float64():
    tensor = torch.tensor([1.5, 2.5], dtype=torch.bfloat16, requires_grad=True)
    assert to_floats(tensor, "x").dtype == np.float64
    assert to_floats(tensor, "x").tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("values", "said"),
    [([1.0, math.nan], "margins must be finite, entry 1"), ([[1.0]], "margins must have one")],
)
def test_what_is_not_a_finite_vector_is_refused_by_name(values, said):
    with pytest.raises(ValueError, match=said):
        to_floats(values, "margins")


def test_a_median_over_settings_is_the_median_of_their_means():
    values = np.array([[0.0, 4.0, 2.0], [9.0, 9.0, 9.0], [1.0, 1.0, 4.0]])
    found = bootstrap_median_of_means(values)
    assert found.estimate == 2.0
    # All 27 resamples of three units, enumerated.
    drawn = [
        np.median(values[:, list(rows)].mean(axis=1))
        for rows in itertools.product(range(3), repeat=3)
    ]
    assert found.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.35)
    assert found.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.35)


def test_a_median_draws_units_for_all_settings_together():
    # What every setting has in common is spread; by how much they differ is not.
    common = np.random.default_rng(0).normal(size=200)
    apart = bootstrap_median_of_means([common, common + 1, common + 2])
    one = estimates.bootstrap_mean(common + 1)
    assert (apart.low, apart.high) == pytest.approx((one.low, one.high))


def test_a_median_of_one_unit_claims_no_interval():
    found = bootstrap_median_of_means([[1.0], [2.0]])
    assert found.estimate == 1.5
    assert math.isnan(found.low)


def test_a_median_share_is_not_surer_than_its_settings():
    always = median_share([[1.0] * 20, [1.0] * 20])
    assert (always.estimate, always.low, always.high) == pytest.approx(
        (1.0, *[getattr(wilson_interval(20, 20), end) for end in ("low", "high")])
    )
    mixed = np.random.default_rng(1).integers(0, 2, (3, 60)).astype(float)
    assert median_share(mixed) == bootstrap_median_of_means(mixed)


def test_drawn_sums_are_those_of_a_bootstrap() -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, (50, 2, 3))
    drawn = draw_sums(values, 4000, seed=1)
    assert drawn.shape == (4000, 2, 3)
    spread = values.std(axis=0) * np.sqrt(len(values))
    np.testing.assert_allclose(drawn.mean(axis=0), values.sum(axis=0), atol=0.1 * spread.max())
    np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=0.05)
    # Every unit is drawn, and as many as there are.
    assert (draw_sums(np.ones((7, 1)), 20, seed=0) == 7).all()
    assert not draw_sums(np.ones((0, 4)), 3, seed=0).any()


def test_percentile_intervals_leave_out_what_is_not_known():
    drawn = np.linspace(0.0, 1.0, 101)
    found = percentile_interval(0.5, drawn, 30, level=0.9)
    assert (found.low, found.high) == pytest.approx((0.05, 0.95))
    assert (found.estimate, found.count, found.level) == (0.5, 30, 0.9)
    some = np.concatenate([drawn, [np.nan, np.inf]])
    assert percentile_interval(0.5, some, 30, level=0.9) == found
    for estimate, values, count in (
        (np.nan, drawn, 30),
        (0.5, drawn, 1),
        (0.5, drawn[:1], 30),
        (0.5, np.full(5, np.nan), 30),
    ):
        unknown = percentile_interval(estimate, values, count)
        assert np.isnan([unknown.low, unknown.high]).all()
