"""Agreement with groups: scipy's r, corrections, intervals that cover, and planted skews."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from accordant.statistics.corrections import bonferroni
from accordant.statistics.crossed import Ratings
from accordant.statistics.groups import (
    GroupDifference,
    agree_with_groups,
    compare_groups,
    correct_together,
)


def simulate(
    seed: int,
    sizes: dict[str, int],
    *,
    skew: str | None = None,
    view: float = 0.6,
    slips: float = 0.8,
    items: int = 80,
    rated: int = 30,
) -> tuple[Ratings, list[str], np.ndarray]:
    """Groups with views of their own; labels on nobody's side, or on that of `skew`."""
    draw = np.random.default_rng(seed)
    groups = [name for name, size in sizes.items() for _ in range(size)]
    severity = draw.normal(size=items)
    views = {name: view * draw.normal(size=items) for name in sizes}
    rows = []
    for person, group in enumerate(groups):
        lenient = 0.5 * draw.normal()
        for item in draw.choice(items, rated, replace=False):
            noise = lenient + slips * draw.normal()
            rows.append((item, person, severity[item] + views[group][item] + noise))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    labels = severity + 0.5 * draw.normal(size=items)
    return Ratings(*columns), groups, labels + (views[skew] if skew else 0)


def raised(found: tuple[GroupDifference, ...]) -> list[tuple[str, str]]:
    return [(one.first, one.second) for one in found if one.number.low > 0]


def test_r_and_p_are_scipys_on_mean_ratings() -> None:
    ratings, groups, labels = simulate(1, {"a": 15, "b": 25})
    for one in agree_with_groups(ratings, groups, {"label": labels}, resamples=50):
        member = [group == one.group for group in groups]
        means, numbers = [], []
        for item in range(len(labels)):
            own = [
                value
                for place, person, value in zip(
                    ratings.items, ratings.annotators, ratings.values, strict=True
                )
                if place == item and member[person]
            ]
            if own:
                means.append(np.mean(own))
                numbers.append(labels[item])
        expected = pearsonr(means, numbers)
        assert one.r.estimate == pytest.approx(expected.statistic)
        assert one.p == pytest.approx(expected.pvalue, rel=1e-6)
        assert one.corrected == bonferroni(one.p, 2)
        assert one.r.low < one.r.estimate < one.r.high
        assert (one.annotators, one.r.count) == (member.count(True), len(means))


@settings(max_examples=10, deadline=None)
@given(slope=st.floats(0.01, 100), shift=st.floats(-1000, 1000), seed=st.integers(0, 50))
def test_rescaled_ratings_agree_as_much(slope: float, shift: float, seed: int) -> None:
    ratings, groups, labels = simulate(seed, {"a": 10, "b": 10}, items=40, rated=20)
    other = Ratings(ratings.items, ratings.annotators, slope * ratings.values + shift)
    first, second = (
        agree_with_groups(one, groups, {"label": labels}, resamples=20) for one in (ratings, other)
    )
    for before, after in zip(first, second, strict=True):
        assert after.r.estimate == pytest.approx(before.r.estimate, abs=1e-6)
        assert after.p == pytest.approx(before.p, rel=1e-3, abs=1e-12)
        assert after.r.low == pytest.approx(before.r.low, abs=1e-4)


def test_labels_and_predictions_are_corrected_for_together() -> None:
    ratings, groups, labels = simulate(2, {"a": 12, "b": 12})
    draw = np.random.default_rng(3)
    targets = {"label": labels, "prediction": draw.normal(size=len(labels))}
    found = agree_with_groups(ratings, groups, targets, resamples=20)
    assert len(found) == 4
    assert all(one.corrected == bonferroni(one.p, 4) for one in found)


def test_small_groups_are_named_and_are_no_tests() -> None:
    ratings, groups, labels = simulate(3, {"few": 9, "many": 20})
    few, many = agree_with_groups(ratings, groups, {"label": labels}, resamples=20)
    assert (few.group, few.tested, few.annotators) == ("few", False, 9)
    assert math.isnan(few.r.estimate)
    assert many.corrected == many.p  # one test alone
    assert compare_groups(ratings, groups, {"label": labels}) == ()
    enough = compare_groups(ratings, groups, {"label": labels}, annotators=9, resamples=20)
    assert len(enough) == 1


def test_too_few_items_are_no_test() -> None:
    ratings, groups, labels = simulate(4, {"a": 20}, items=29, rated=10)
    (found,) = agree_with_groups(ratings, groups, {"label": labels}, resamples=20)
    assert not found.tested
    unknown = np.where(np.arange(80) < 29, 1.0, np.nan)
    ratings, groups, _ = simulate(4, {"a": 20})
    (found,) = agree_with_groups(ratings, groups, {"label": unknown}, resamples=20)
    assert (found.tested, found.r.count) == (False, 29)


def test_constant_ratings_say_nothing() -> None:
    ratings, groups, labels = simulate(5, {"a": 20})
    same = Ratings(ratings.items, ratings.annotators, np.full(len(ratings.values), 0.1))
    (found,) = agree_with_groups(same, groups, {"label": labels}, resamples=20)
    assert not found.tested


def test_people_without_a_group_are_left_out() -> None:
    ratings, groups, labels = simulate(6, {"a": 15, "b": 15})
    without = [group if group == "a" else None for group in groups]
    (alone,) = agree_with_groups(ratings, without, {"label": labels}, resamples=20)
    both = agree_with_groups(ratings, groups, {"label": labels}, resamples=20)
    assert alone.r.estimate == both[0].r.estimate


def test_a_planted_skew_is_found_and_no_other() -> None:
    sizes = {"a": 30, "b": 20, "c": 20}
    ratings, groups, labels = simulate(8, sizes, skew="b", items=200, rated=60, view=0.8)
    found = compare_groups(ratings, groups, {"label": labels}, resamples=150)
    assert set(raised(found)) == {("b", "a"), ("b", "c")}


def test_shuffled_groups_do_not_differ() -> None:
    sizes = {"a": 30, "b": 20, "c": 20}
    ratings, groups, labels = simulate(8, sizes, skew="b", items=200, rated=60, view=0.8)
    draw = np.random.default_rng(0)
    false = 0
    for _ in range(10):
        shuffled = list(draw.permutation(groups))
        false += bool(raised(compare_groups(ratings, shuffled, {"label": labels}, resamples=60)))
    assert false <= 2  # of ten families at 5 % each


def test_a_small_group_does_not_seem_to_agree_less() -> None:
    """With many slips the small group's means are far noisier; its view is the others'."""
    apart, equalled = [], []
    for seed in range(12):
        ratings, groups, labels = simulate(
            seed, {"large": 90, "small": 12}, view=0.0, slips=2.0, items=60, rated=30
        )
        large, small = agree_with_groups(ratings, groups, {"label": labels}, resamples=4)
        apart.append(large.r.estimate - small.r.estimate)
        (one,) = compare_groups(ratings, groups, {"label": labels}, resamples=4)
        equalled.append(one.number.estimate * (1 if one.first == "large" else -1))
    error = np.std(equalled, ddof=1) / np.sqrt(len(equalled))
    assert np.mean(apart) > 0.15
    assert abs(np.mean(equalled)) < 3 * error


def test_equal_numbers_of_ratings_are_what_drawing_them_would_give() -> None:
    """The formula against drawing as many ratings of each item again and again."""
    ratings, groups, labels = simulate(9, {"large": 60, "small": 12}, slips=1.5, items=50, rated=25)
    (found,) = compare_groups(ratings, groups, {"label": labels}, resamples=4)
    draw = np.random.default_rng(1)
    own = {
        name: [
            ratings.values[
                (ratings.items == item) & np.isin(ratings.annotators, _members(groups, name))
            ]
            for item in range(50)
        ]
        for name in ("large", "small")
    }
    both = [item for item in range(50) if all(len(values[item]) for values in own.values())]
    differences = []
    for _ in range(400):
        rs = {}
        for name, values in own.items():
            means = [
                draw.choice(
                    values[item], min(len(one[item]) for one in own.values()), replace=False
                ).mean()
                for item in both
            ]
            rs[name] = pearsonr(means, labels[both]).statistic
        differences.append(rs["large"] - rs["small"])
    signed = found.number.estimate * (1 if found.first == "large" else -1)
    assert signed == pytest.approx(np.mean(differences), abs=0.02)
    assert found.number.count == len(both)


def _members(groups: list[str], name: str) -> list[int]:
    return [person for person, group in enumerate(groups) if group == name]


def test_intervals_of_a_difference_cover_none_as_often_as_they_say() -> None:
    missed, tables = 0, 120
    for seed in range(tables):
        ratings, groups, labels = simulate(seed, {"a": 20, "b": 14}, items=60, rated=15)
        (one,) = compare_groups(ratings, groups, {"label": labels}, resamples=80)
        missed += one.number.low > 0
    assert missed / tables < 0.05 + 3 * math.sqrt(0.05 * 0.95 / tables)


def test_more_comparisons_widen_every_interval() -> None:
    ratings, groups, labels = simulate(10, {"a": 15, "b": 15, "c": 15})
    three = compare_groups(ratings, groups, {"label": labels}, resamples=60)
    assert {one.number.level for one in three} == {1 - 0.05 / 3}
    without = [group if group != "c" else None for group in groups]
    (alone,) = compare_groups(ratings, without, {"label": labels}, resamples=60)
    (same,) = [one for one in three if {one.first, one.second} == {"a", "b"}]
    assert alone.number.estimate == same.number.estimate
    assert alone.number.high < same.number.high


def test_r_and_its_correction_are_those_of_the_authors_code() -> None:
    """Rounded group means, then p times the groups of all axes (Santy et al., nlpositionality)."""
    draw = np.random.default_rng(0)
    items = np.repeat(np.arange(60), 12)
    annotators = np.tile(np.arange(12), 60)
    label = draw.integers(-1, 2, 60).astype(float)
    values = np.clip(label[items] + draw.integers(-1, 2, len(items)), -1, 1).astype(float)
    ratings = Ratings(items, annotators, values)
    axes = [["a", "b"] * 6, ["young"] * 6 + ["old"] * 6]
    sizes = {"annotators": 2, "items": 10, "resamples": 20}
    found = correct_together(
        [
            agreement
            for groups in axes
            for agreement in agree_with_groups(
                ratings, groups, {"label": label}, rounded=True, **sizes
            )
        ]
    )
    assert len(found) == 4
    slow = []
    for groups in axes:
        for name in sorted(set(groups)):
            own = np.array([groups[person] == name for person in annotators])
            means = [round(float(values[own & (items == item)].mean())) for item in range(60)]
            slow.append(pearsonr(means, label))
    for agreement, (r, p) in zip(found, slow, strict=True):
        assert agreement.r.estimate == pytest.approx(r)
        assert agreement.corrected == pytest.approx(min(1.0, 4 * p))
