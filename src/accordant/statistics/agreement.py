"""Agreement of people who judged the same items, beyond what chance would give.

Knows values per item. Knows nothing of what was judged or by whom. Intervals are bootstraps over
items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Unpack

import numpy as np

from accordant.statistics.arrays import ratios
from accordant.statistics.estimates import Drawing, bootstrap_ratio, bootstrap_sums
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from accordant.statistics.arrays import Floats

Metric = Literal["nominal", "interval"]


def krippendorff_alpha(
    items: Sequence[Sequence[float]], metric: Metric = "nominal", **drawing: Unpack[Drawing]
) -> Interval:
    """Compute Krippendorff's alpha (2004, Content analysis, chapter 11), 1 - D_o / D_e.

    D_o is the mean difference of two values of one item, D_e that of any two values; each item
    weighs as many values as it has. Items with one value say nothing and are left out. Two people
    who judge all items give alpha close to Cohen's kappa, any number of them close to Fleiss'.

    Args:
        items: the values of every item, in any order, as many as there are.
        metric: difference of two values: 1 if they differ (nominal), or its square (interval).
        drawing: how items are drawn.

    Returns:
        alpha, at most 1; NaN where nothing was judged twice or all values are the same. `count` is
        the number of items.
    """
    judged = [np.asarray(values, np.float64) for values in items if len(values) > 1]
    if not judged:
        return Interval.unknown(0)
    pooled = np.concatenate(judged)
    categories, centre = np.unique(pooled), pooled.mean()
    rows = []
    for values in judged:
        # Unit vectors of two categories lie a squared distance of 2 apart, whichever they are, and
        # alpha does not depend on the scale: nominal values are intervals in more dimensions.
        nominal = metric == "nominal"
        points = 1.0 * (values[:, None] == categories) if nominal else values[:, None] - centre
        count, summed, squares = len(values), points.sum(axis=0), float((points**2).sum())
        # Over ordered pairs the squared distances sum to 2 n sum |x|^2 - 2 |sum x|^2.
        within = 2 * (count * squares - summed @ summed) / (count - 1)
        rows.append([within, count, squares, *summed])
    return bootstrap_sums(_alpha, np.array(rows, np.float64), **drawing)


def _alpha(sums: Floats) -> Floats:
    """Compute alpha of summed items, `[r, 3 + d] -> [r]`, d the dimensions of a value."""
    within, total, squares, *summed = sums.T
    spread = total * squares - np.square(summed).sum(axis=0)
    expected = 2 * spread / (total * (total - 1))
    return 1 - ratios(within / total, expected, 1e-12)


def pairwise_agreement(items: Sequence[Sequence[float]]) -> Interval:
    """Return the share of pairs of values of an item that are equal; not beyond chance."""
    judged = [values for values in items if len(values) > 1]
    counts = [np.unique(np.asarray(values), return_counts=True)[1] for values in judged]
    agreeing = [float((count * (count - 1)).sum()) for count in counts]
    return bootstrap_ratio(agreeing, [float(len(v) * (len(v) - 1)) for v in judged])
