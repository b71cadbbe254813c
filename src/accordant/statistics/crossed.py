"""Ratings crossed by items and annotators: correlation over items, and what drawing anew changes.

Knows arrays of ratings, items and annotators. Knows nothing of tests or of which groups are
compared. float64 throughout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from accordant.statistics.arrays import ratios
from accordant.statistics.estimates import batches

if TYPE_CHECKING:
    from accordant.statistics.arrays import Flags, Floats, Integers

    Statistic = Callable[[Sequence[Floats]], Floats]

Unit = Literal["items", "annotators", "ratings"]
UNITS: tuple[Unit, ...] = ("items", "annotators", "ratings")


@dataclass(frozen=True, slots=True)
class Ratings:
    """`n` ratings of items by annotators; nobody has to rate every item.

    Args:
        items: item of every rating, int64 `[n]`, from 0.
        annotators: who gave it, int64 `[n]`, from 0.
        values: the ratings, float64 `[n]`, on any scale; finite.
    """

    items: Integers
    annotators: Integers
    values: Floats


@dataclass(frozen=True, slots=True)
class RatingTable:
    """The ratings of one group on a pool of items, both numbered from 0 within it.

    Args:
        pool: the items, `[m]`, as `Ratings` numbers them; the group rated each at least once.
        items: of every rating, a place in `pool`, `[n]`, not decreasing.
        annotators: `[n]`, from 0 to `people - 1`.
        values: `[n]`.
        counts: ratings of every item, `[m]`.
        people: annotators.
        centre: what was taken off `values`.
    """

    pool: Integers
    items: Integers
    annotators: Integers
    values: Floats
    counts: Floats
    people: int
    centre: float = 0.0


def table_of(
    ratings: Ratings, groups: Sequence[str | None], name: str, wanted: Flags
) -> RatingTable:
    """Collect the group's ratings of the items that are `wanted`, `[items]`."""
    member = np.array([group == name for group in groups], bool)
    rows = np.flatnonzero(member[ratings.annotators] & wanted[ratings.items])
    rows = rows[np.argsort(ratings.items[rows], kind="stable")]
    pool, items, counts = np.unique(ratings.items[rows], return_inverse=True, return_counts=True)
    people, annotators = np.unique(ratings.annotators[rows], return_inverse=True)
    values = ratings.values[rows]
    # Squares of numbers far from 0 would lose digits; r does not depend on the centre.
    centre = float(values.mean()) if len(values) else 0.0
    numbers = counts.astype(np.float64)
    return RatingTable(pool, items, annotators, values - centre, numbers, len(people), centre)


def shared_tables(
    ratings: Ratings, groups: Sequence[str | None], names: tuple[str, str], wanted: Flags
) -> tuple[RatingTable, RatingTable]:
    """Collect two groups' ratings of the items that both rated."""
    pools = [table_of(ratings, groups, name, wanted).pool for name in names]
    shared = np.zeros(len(wanted), bool)
    shared[np.intersect1d(pools[0], pools[1])] = True
    first, second = (table_of(ratings, groups, name, shared) for name in names)
    return first, second


def item_means(table: RatingTable) -> Floats:
    """Compute the group's mean rating of every item of its pool."""
    return np.bincount(table.items, table.values, len(table.pool)) / table.counts


def weighted_r(table: RatingTable, weights: Floats, numbers: Floats, extra: Floats) -> Floats:
    """Compute Pearson's r over items with every rating counting `weights` times, `[b, n] -> [b]`.

    An item weighs the mean weight of its ratings, so that with equal weights all items weigh the
    same.

    Args:
        table: the ratings.
        weights: not negative, `[b, n]`.
        numbers: of the items, `[m]`.
        extra: what the variance of a rating is multiplied by and added to the variance of the
            item's mean, `[m]`; 0 for none.
    """
    counts = _sum_by_item(table, weights)
    known = np.where(counts > 0, counts, 1.0)
    means = _sum_by_item(table, weights * table.values) / known
    shares = counts / table.counts
    # A resample may hold no item at all.
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
    centred = means - (shares * means).sum(axis=1, keepdims=True)
    others = numbers - (shares * numbers).sum(axis=1, keepdims=True)
    variance = (shares * centred**2).sum(axis=1)
    if extra.any():
        squares = _sum_by_item(table, weights * table.values**2) / known
        # Of a single rating the spread is 0, whatever it is multiplied by.
        unbiased = table.counts / np.maximum(table.counts - 1, 1)
        within = np.maximum(squares - means**2, 0) * unbiased
        variance = variance + (shares * within * extra).sum(axis=1)
    scale = np.sqrt(variance * (shares * others**2).sum(axis=1))
    covariance = (shares * centred * others).sum(axis=1)
    return ratios(covariance, scale)


def _sum_by_item(table: RatingTable, values: Floats) -> Floats:
    """Sum per-rating values within items, `[b, n] -> [b, m]`."""
    starts = np.cumsum(table.counts).astype(np.int64) - table.counts.astype(np.int64)
    return np.add.reduceat(values, starts, axis=1)


def standard_error(
    tables: tuple[RatingTable, ...], statistic: Statistic, drawing: tuple[int, int]
) -> float:
    """Estimate sqrt(V_items + V_annotators - V_ratings), at least the larger of the first two.

    What drawing items anew and drawing annotators anew would change, less what is counted in both
    (two-way clusters, Cameron, Gelbach and Miller 2011), each a bootstrap of so many resamples with
    a seed, the `drawing`.
    """
    variances = []
    for place, unit in enumerate(UNITS):
        generator = np.random.default_rng([drawing[1], place])
        drawn = _bootstrap(tables, statistic, unit, drawing[0], generator)
        finite = drawn[np.isfinite(drawn)]
        variances.append(float(finite.var(ddof=1)) if len(finite) > 1 else math.nan)
    items, annotators, ratings = variances
    return math.sqrt(max(items + annotators - ratings, items, annotators))


def _bootstrap(
    tables: tuple[RatingTable, ...],
    statistic: Statistic,
    unit: Unit,
    resamples: int,
    generator: np.random.Generator,
) -> Floats:
    """Compute the statistic with Poisson(1) copies of every unit, `[resamples]`."""

    # Poisson copies instead of a fixed number of draws make the variance right with few units,
    # where plain draws are (n - 1) / n of it.
    def copies(rows: int, units: int) -> Floats:
        return generator.poisson(1.0, (rows, units)).astype(np.float64)

    drawn = []
    for rows in batches(resamples, max(len(table.values) + len(table.pool) for table in tables)):
        if unit == "items":
            # All tables hold the same items, which are copied for all of them together.
            shared = copies(rows, len(tables[0].pool))
            weights = [shared[:, table.items] for table in tables]
        elif unit == "annotators":
            weights = [copies(rows, table.people)[:, table.annotators] for table in tables]
        else:
            weights = [copies(rows, len(table.values)) for table in tables]
        drawn.append(statistic(weights))
    return np.concatenate(drawn)


def t_quantile(tables: tuple[RatingTable, ...], level: float) -> float:
    """Return Student's t, with the degrees of freedom of the fewest annotators or items."""
    from scipy.stats import t

    fewest = min(min(table.people, len(table.pool)) for table in tables)
    return float(t.ppf((1 + level) / 2, max(fewest - 1, 1)))
