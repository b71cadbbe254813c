"""With which groups of people a number per item agrees: Pearson's r, corrected for many tests.

Knows arrays of ratings, who gave them and which group they belong to. Knows nothing of files, of
what was rated, or of what a group is. float64 throughout.

The measure is that of Santy et al. 2023 (NLPositionality): r between a group's mean rating of every
item, rounded, and the item's label or a model's prediction. Means of few ratings are noisy, which
pulls r towards 0; so a small group seems to agree less. A group's table r is reported as it is,
with its size. Two groups are compared on the items that both rated and as if both had given as many
ratings of each (`compare_groups`): that test is not theirs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from accordant.statistics.corrections import bonferroni
from accordant.statistics.crossed import (
    Ratings,
    RatingTable,
    item_means,
    shared_tables,
    standard_error,
    t_quantile,
    table_of,
    weighted_r,
)
from accordant.statistics.estimates import LEVEL, SEED
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from accordant.statistics.arrays import Floats

ANNOTATORS, ITEMS = 10, 30  # a group needs that many at least
RESAMPLES = 500
_NEARLY_ONE = 1 - 1e-12


@dataclass(frozen=True, slots=True)
class GroupAgreement:
    """How one group's mean ratings agree with one number per item.

    Args:
        group: name of the group.
        target: name of the number.
        r: Pearson's r with its 95 % interval, over `count` items; NaN where it was not tested.
        p: two-sided p of r = 0, before correction.
        corrected: p times the number of tests of the axis, at most 1.
        annotators: people of the group who rated an item with a number.
        ratings: what they gave.
        tested: whether the group was large enough, and its means and the numbers not constant.
    """

    group: str
    target: str
    r: Interval
    p: float
    corrected: float
    annotators: int
    ratings: int
    tested: bool


@dataclass(frozen=True, slots=True)
class GroupDifference:
    """By how much one group agrees more than another, at equal numbers of ratings.

    Args:
        first: the group that agrees more.
        second: the one that agrees less.
        target: name of the number they agree with.
        number: r of the first minus r of the second, not negative, over `count` items that both
            rated; the interval is at the level that is left for each of all comparisons.
    """

    first: str
    second: str
    target: str
    number: Interval


def agree_with_groups(
    ratings: Ratings,
    groups: Sequence[str | None],
    targets: Mapping[str, Floats],
    *,
    annotators: int = ANNOTATORS,
    items: int = ITEMS,
    rounded: bool = False,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[GroupAgreement, ...]:
    """Measure the agreement of the groups of one axis with one or several numbers per item.

    r = corr_i(mean rating of item i by the group, number of item i), every item weighing the same;
    p is scipy's `pearsonr`. All tests of the axis, groups times numbers, are corrected for
    together (`correct_together` takes those of several); groups that are too small are no tests.
    The interval is tanh(artanh r +- t s), with s
    from `standard_error`; t has one degree of freedom less than there are annotators or items,
    whichever are fewer.

    Args:
        ratings: of all annotators.
        groups: group of every annotator; None where it is not known.
        targets: by name, a number of every item, `[items]`; NaN where there is none.
        annotators: a group needs so many.
        items: and has to have rated so many.
        rounded: whether means are rounded to whole numbers before r, as in the authors' code; the
            interval keeps the width that unrounded means have.
        resamples: bootstrap samples of each of the three variances.
        seed: of the bootstrap.

    Returns:
        one entry for each group and number, groups in alphabetical order.
    """
    tables = {
        (name, target): table_of(ratings, groups, name, np.isfinite(values))
        for name in _names(groups)
        for target, values in targets.items()
    }
    # A correlation of fewer than three means is 1, whatever they are.
    least = annotators, max(items, 3)
    tested = [key for key, table in tables.items() if _is_tested(table, targets[key[1]], least)]
    return tuple(
        _agreement(
            table,
            *key,
            targets[key[1]],
            len(tested) * (key in tested),
            (resamples, seed),
            rounded=rounded,
        )
        for key, table in tables.items()
    )


def correct_together(agreements: Sequence[GroupAgreement]) -> list[GroupAgreement]:
    """Correct for all tests of several axes at once, as the authors do for eight of them."""
    tests = sum(agreement.tested for agreement in agreements)
    return [
        replace(agreement, corrected=bonferroni(agreement.p, tests))
        if agreement.tested
        else agreement
        for agreement in agreements
    ]


def compare_groups(
    ratings: Ratings,
    groups: Sequence[str | None],
    targets: Mapping[str, Floats],
    *,
    annotators: int = ANNOTATORS,
    items: int = ITEMS,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[GroupDifference, ...]:
    """Compare agreement between all pairs of groups of one axis that are large enough.

    Of an item that one group rated more often, r is what it would be in expectation with as many
    ratings as the other gave, k of n: drawing k of n ratings leaves the covariance of means and
    numbers and adds s_i^2 (1 / k - 1 / n) to the variance of the means, with s_i^2 the variance of
    the group's ratings of the item. Without this a smaller group would seem to agree less. Items
    are drawn anew for both groups together. The intervals are d +- t s as in `agree_with_groups`,
    together at 95 %: each at the level 1 - 0.05 / comparisons of the axis (Bonferroni).

    Arguments are those of `agree_with_groups`; both groups need so many people on the items that
    both rated, and so many such items.
    """
    pairs = []
    for target, values in targets.items():
        for names in combinations(_names(groups), 2):
            both = shared_tables(ratings, groups, names, np.isfinite(values))
            few = len(both[0].pool) < items or min(table.people for table in both) < annotators
            if not few and np.isfinite(_rs_at_equal_numbers(both, values)).all():
                pairs.append((*names, target, both))
    each = 1 - (1 - LEVEL) / max(len(pairs), 1)
    return tuple(_difference(*pair, targets[pair[2]], each, (resamples, seed)) for pair in pairs)


def _names(groups: Sequence[str | None]) -> list[str]:
    return sorted({name for name in groups if name is not None})


def _is_tested(table: RatingTable, values: Floats, least: tuple[int, int]) -> bool:
    """Tell whether a group is large enough, and its means and the numbers vary."""
    if table.people < least[0] or len(table.pool) < least[1]:
        return False
    spread = float(np.ptp(table.values))
    # Means of equal ratings differ by rounding, which correlates with anything.
    varies = spread > 0 and float(np.ptp(item_means(table))) > 1e-12 * spread
    return varies and float(np.ptp(values[table.pool])) > 0


def _agreement(
    table: RatingTable,
    group: str,
    target: str,
    values: Floats,
    tests: int,
    drawing: tuple[int, int],
    *,
    rounded: bool,
) -> GroupAgreement:
    """Measure one group's agreement, tested as one of so many; not at all as one of none."""
    from scipy.stats import pearsonr

    size, ratings = len(table.pool), len(table.values)
    if not tests:
        unknown, p = Interval.unknown(size), math.nan
        return GroupAgreement(group, target, unknown, p, p, table.people, ratings, tested=False)
    numbers, nothing = values[table.pool], np.zeros(size)
    means = item_means(table)
    # Half to even, as Python's round; sums may leave a half a bit beside itself. Means that all
    # round alike have no r: they stay as they are.
    whole = np.rint((means + table.centre).round(9))
    if rounded and np.ptp(whole) > 0:
        means = whole
    r, p = map(float, pearsonr(means, numbers))

    def statistic(weights: Sequence[Floats]) -> Floats:
        drawn = weighted_r(table, weights[0], numbers, nothing)
        return np.arctanh(np.clip(drawn, -_NEARLY_ONE, _NEARLY_ONE))

    # By artanh: r near 1 has a skew that its own scale would ignore.
    half = standard_error((table,), statistic, drawing) * t_quantile((table,), LEVEL)
    centre = math.atanh(min(max(r, -_NEARLY_ONE), _NEARLY_ONE))
    # Rounding must not put the estimate outside at r = 1.
    ends = min(math.tanh(centre - half), r), max(math.tanh(centre + half), r)
    corrected, interval = bonferroni(p, tests), Interval(r, *ends, size)
    return GroupAgreement(group, target, interval, p, corrected, table.people, ratings, tested=True)


def _difference(
    first: str,
    second: str,
    target: str,
    both: tuple[RatingTable, RatingTable],
    values: Floats,
    level: float,
    drawing: tuple[int, int],
) -> GroupDifference:
    left, right = _rs_at_equal_numbers(both, values)
    gap = left - right
    if gap < 0:
        first, second, both, gap = second, first, (both[1], both[0]), -gap

    def statistic(weights: Sequence[Floats]) -> Floats:
        ours, theirs = _weighted_rs(both, weights, values)
        return ours - theirs

    half = standard_error(both, statistic, drawing) * t_quantile(both, level)
    number = Interval(gap, gap - half, gap + half, len(both[0].pool), level)
    return GroupDifference(first, second, target, number)


def _rs_at_equal_numbers(both: tuple[RatingTable, RatingTable], values: Floats) -> list[float]:
    """Compute r of two groups at equal numbers of ratings; NaN where it is not defined."""
    if len(both[0].pool) < 3:
        return [math.nan, math.nan]
    once = [np.ones((1, len(table.values))) for table in both]
    return [float(r[0]) for r in _weighted_rs(both, once, values)]


def _weighted_rs(
    both: tuple[RatingTable, RatingTable], weights: Sequence[Floats], values: Floats
) -> list[Floats]:
    """Compute r of both groups at the fewer of their ratings of every item, `[b]` each."""
    fewer, numbers = np.minimum(both[0].counts, both[1].counts), values[both[0].pool]
    return [
        weighted_r(table, weight, numbers, 1 / fewer - 1 / table.counts)
        for table, weight in zip(both, weights, strict=True)
    ]
