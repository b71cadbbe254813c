"""With which groups of people a number per item agrees: Pearson's r, corrected for many tests.

Knows arrays of ratings, who gave them and which group they belong to. Knows nothing of files, of
what was rated, or of what a group is. float64 throughout.

The measure is that of Santy et al. 2023 (NLPositionality): r between a group's mean rating of every
item and the item's label or a model's prediction. Means of few ratings are noisy, which pulls r
towards 0; so a small group seems to agree less. A group's table r is reported as it is, with its
size. Two groups are compared on the items that both rated and as if both had given as many ratings
of each (`compare_groups`).
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
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[GroupAgreement, ...]:
    """Measure the agreement of the groups of one axis with one or several numbers per item.

    r = corr_i(mean rating of item i by the group, number of item i), every item weighing the same;
    p is scipy's `pearsonr`. All tests of the axis, groups times numbers, are corrected for
    together; groups that are too small are no tests. The interval is
    tanh(artanh r +- t s), s^2 = V_items + V_annotators - V_ratings: what drawing items anew and
    drawing annotators anew would change, less what is counted in both (two-way clusters, Cameron,
    Gelbach and Miller 2011), each a bootstrap; t has one degree of freedom less than there are
    annotators or items, whichever are fewer.

    Args:
        ratings: of all annotators.
        groups: group of every annotator; None where it is not known.
        targets: by name, a number of every item, `[items]`; NaN where there is none.
        annotators: a group needs so many.
        items: and has to have rated so many.
        resamples: bootstrap samples of each of the three variances.
        seed: of the bootstrap.

    Returns:
        one entry for each group and number, groups in alphabetical order.
    """
    tables = [
        (name, target, table_of(ratings, groups, name, np.isfinite(values)))
        for name in _names(groups)
        for target, values in targets.items()
    ]
    agreements = [
        _agreement(table, name, target, targets[target], (annotators, items))
        for name, target, table in tables
    ]
    tests = sum(agreement.tested for agreement in agreements)
    return tuple(
        _with_interval(agreement, table, targets[target], tests, (resamples, seed))
        if agreement.tested
        else agreement
        for agreement, (_, target, table) in zip(agreements, tables, strict=True)
    )


def compare_groups(
    ratings: Ratings,
    groups: Sequence[str | None],
    targets: Mapping[str, Floats],
    *,
    annotators: int = ANNOTATORS,
    items: int = ITEMS,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[GroupDifference, ...]:
    """Compare agreement between all pairs of groups of one axis that are large enough.

    Of an item that one group rated more often, r is what it would be in expectation with as many
    ratings as the other gave, k of n: drawing k of n ratings leaves the covariance of means and
    numbers and adds s_i^2 (1 / k - 1 / n) to the variance of the means, with s_i^2 the variance of
    the group's ratings of the item. Without this a smaller group would seem to agree less. Items
    are drawn anew for both groups together. The intervals are d +- t s as in `agree_with_groups`,
    at the level 1 - (1 - level) / comparisons of the axis (Bonferroni).

    Arguments are those of `agree_with_groups`; both groups need so many people on the items that
    both rated, and so many such items. `level` is of all intervals together, in (0, 1).
    """
    pairs = []
    for target, values in targets.items():
        for first, second in combinations(_names(groups), 2):
            both = shared_tables(ratings, groups, (first, second), np.isfinite(values))
            estimates = _thinned_pair(both, values)
            few = len(both[0].pool) < items or min(table.people for table in both) < annotators
            if not few and np.isfinite(estimates).all():
                pairs.append((first, second, target, both, estimates))
    each = 1 - (1 - level) / max(len(pairs), 1)
    return tuple(_difference(pair, targets[pair[2]], each, (resamples, seed)) for pair in pairs)


def _names(groups: Sequence[str | None]) -> list[str]:
    return sorted({name for name in groups if name is not None})


def _agreement(
    table: RatingTable, group: str, target: str, values: Floats, least: tuple[int, int]
) -> GroupAgreement:
    """Test one group: r and p, without interval and correction."""
    from scipy.stats import pearsonr

    means, numbers = item_means(table), values[table.pool]
    large = table.people >= least[0] and len(table.pool) >= max(least[1], 3)
    tested = bool(large and _varies(table.values, means) and np.ptp(numbers) > 0)
    r, p = map(float, pearsonr(means, numbers)) if tested else (math.nan, math.nan)
    unknown = Interval(r, math.nan, math.nan, len(table.pool))
    return GroupAgreement(group, target, unknown, p, p, table.people, len(table.values), tested)


def _varies(values: Floats, means: Floats) -> bool:
    """Tell whether the means differ by more than rounding."""
    spread = float(np.ptp(values))
    return spread > 0 and float(np.ptp(means)) > 1e-12 * spread


def _with_interval(
    agreement: GroupAgreement,
    table: RatingTable,
    values: Floats,
    tests: int,
    drawing: tuple[int, int],
) -> GroupAgreement:
    nothing = np.zeros(len(table.pool))
    numbers = values[table.pool]

    def statistic(weights: Sequence[Floats]) -> Floats:
        r = weighted_r(table, weights[0], numbers, nothing)
        return np.arctanh(np.clip(r, -_NEARLY_ONE, _NEARLY_ONE))

    spread = standard_error((table,), statistic, drawing) * t_quantile((table,), LEVEL)
    r = agreement.r.estimate
    centre = math.atanh(min(max(r, -_NEARLY_ONE), _NEARLY_ONE))
    # Rounding must not put the estimate outside at r = 1.
    low, high = min(math.tanh(centre - spread), r), max(math.tanh(centre + spread), r)
    interval = Interval(r, low, high, agreement.r.count)
    return replace(agreement, r=interval, corrected=bonferroni(agreement.p, tests))


def _difference(
    pair: tuple[str, str, str, tuple[RatingTable, RatingTable], Floats],
    values: Floats,
    level: float,
    drawing: tuple[int, int],
) -> GroupDifference:
    first, second, target, both, estimates = pair
    gap = float(estimates[0] - estimates[1])
    if gap < 0:
        first, second, both, gap = second, first, (both[1], both[0]), -gap
    extras = _thinning(both)
    numbers = values[both[0].pool]

    def statistic(weights: Sequence[Floats]) -> Floats:
        sides = zip(both, weights, extras, strict=True)
        left, right = (weighted_r(table, w, numbers, extra) for table, w, extra in sides)
        return left - right

    half = standard_error(both, statistic, drawing) * t_quantile(both, level)
    number = Interval(gap, gap - half, gap + half, len(both[0].pool), level)
    return GroupDifference(first, second, target, number)


def _thinned_pair(both: tuple[RatingTable, RatingTable], values: Floats) -> Floats:
    """Compute r of two groups at equal numbers of ratings, `[2]`; NaN where it is not defined."""
    if len(both[0].pool) < 3:
        return np.full(2, np.nan)
    numbers = values[both[0].pool]
    rs = [
        float(weighted_r(table, np.ones((1, len(table.values))), numbers, extra)[0])
        for table, extra in zip(both, _thinning(both), strict=True)
    ]
    return np.array(rs, np.float64)


def _thinning(both: tuple[RatingTable, RatingTable]) -> tuple[Floats, Floats]:
    """Compute 1 / k - 1 / n per item and group, with k the fewer ratings of the two; see above."""
    fewer = np.minimum(both[0].counts, both[1].counts)
    first, second = (1 / fewer - 1 / table.counts for table in both)
    return first, second
