"""Agreement of people who judged the same items, beyond what chance would give.

Knows values per item. Knows nothing of what was judged or by whom. Intervals are bootstraps over
items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from accordant.statistics.estimates import (
    LEVEL,
    RESAMPLES,
    SEED,
    bootstrap_ratio,
    draw_sums,
    percentile_interval,
)
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from accordant.statistics.arrays import Floats

Metric = Literal["nominal", "interval"]


def krippendorff_alpha(
    items: Sequence[Sequence[float]],
    metric: Metric = "nominal",
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """Compute Krippendorff's alpha (2004, Content analysis, chapter 11), 1 - D_o / D_e.

    D_o is the mean difference of two values of one item, D_e that of any two values; each item
    weighs as many values as it has. Items with one value say nothing and are left out. Two people
    who judge all items give alpha close to Cohen's kappa, any number of them close to Fleiss'.

    Args:
        items: the values of every item, in any order, as many as there are.
        metric: difference of two values: 1 if they differ (nominal), or its square (interval).
        level: confidence level, in (0, 1).
        resamples: bootstrap samples of items.
        seed: seed of the draws.

    Returns:
        alpha, at most 1; NaN where nothing was judged twice or all values are the same. `count` is
        the number of items.
    """
    judged = [np.asarray(values, np.float64) for values in items if len(values) > 1]
    if not judged:
        return Interval.unknown(0, level)
    sums = _nominal_sums(judged) if metric == "nominal" else _interval_sums(judged)
    score = _nominal_alpha if metric == "nominal" else _interval_alpha
    estimate = float(score(sums.sum(axis=0)[None])[0])
    count = len(judged)
    drawn = score(draw_sums(sums, resamples, seed))
    return percentile_interval(estimate, drawn, count, level=level)


def pairwise_agreement(items: Sequence[Sequence[float]]) -> Interval:
    """Return the share of pairs of values of an item that are equal; not beyond chance."""
    agreeing, pairs = [], []
    for values in items:
        _, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
        if counts.sum() > 1:
            agreeing.append(float((counts * (counts - 1)).sum()))
            pairs.append(float(counts.sum() * (counts.sum() - 1)))
    return bootstrap_ratio(agreeing, pairs)


def _nominal_sums(items: Sequence[Floats]) -> Floats:
    """Count, per item, its agreeing weight, values, and values of every category, `[n, 2 + k]`."""
    categories = np.unique(np.concatenate(items))
    counts = np.stack([(values[:, None] == categories).sum(axis=0) for values in items])
    total = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (total - 1)
    return np.column_stack([agreeing, total, counts]).astype(np.float64)


def _nominal_alpha(sums: Floats) -> Floats:
    """Compute alpha of summed items, `[r, 2 + k] -> [r]`."""
    agreeing, total, counts = sums[:, 0], sums[:, 1], sums[:, 2:]
    observed = 1 - agreeing / total
    expected = 1 - (counts * (counts - 1)).sum(axis=1) / (total * (total - 1))
    return _one_minus_ratio(observed, expected)


def _interval_sums(items: Sequence[Floats]) -> Floats:
    """Return, per item, its summed squared differences, its values, their sum and their squares."""
    centre = float(np.concatenate(items).mean())
    rows = []
    for values in items:
        shifted = values - centre
        spread = ((shifted - shifted.mean()) ** 2).sum()
        # Over ordered pairs the squared differences sum to 2 n sum (x - mean)^2.
        count = len(shifted)
        squares = (shifted**2).sum()
        rows.append([2 * count * spread / (count - 1), count, shifted.sum(), squares])
    return np.array(rows, np.float64)


def _interval_alpha(sums: Floats) -> Floats:
    """Compute alpha of summed items, `[r, 4] -> [r]`."""
    within, total, summed, squares = sums.T
    expected = 2 * (total * squares - summed**2) / (total * (total - 1))
    return _one_minus_ratio(within / total, expected)


def _one_minus_ratio(observed: Floats, expected: Floats) -> Floats:
    known = expected > 1e-12
    return np.where(known, 1 - observed / np.where(known, expected, 1.0), np.nan)
