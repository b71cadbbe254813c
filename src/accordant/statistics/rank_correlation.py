"""How far two numbers of the same units order them alike.

Knows arrays of numbers. Knows nothing of where they come from.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from accordant.statistics.arrays import ratios
from accordant.statistics.estimates import LEVEL, normal_quantile, paired_floats
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from accordant.statistics.arrays import Floats

_FEWEST = 4


def spearman(
    first: ArrayLike | Tensor, second: ArrayLike | Tensor, level: float = LEVEL
) -> Interval:
    """Compute Spearman's rank correlation, in [-1, 1], with the interval of Bonett and Wright.

    tanh(artanh r +- z sqrt((1 + r^2 / 2) / (n - 3))) (2000, Psychometrika 65). NaN with fewer than
    four units, or where one of the two numbers is the same everywhere.

    Args:
        first: one number per unit, `[n]`.
        second: the other, `[n]`.
        level: confidence level, in (0, 1).

    Raises:
        ValueError: the two differ in length, or are not finite.
    """
    from scipy.stats import rankdata

    both = paired_floats(first=first, second=second)
    count = len(both[0])
    ranks = [rankdata(values) for values in both]
    if count < _FEWEST or any(rank.std() == 0 for rank in ranks):
        return Interval.unknown(count, level)
    left, right = (rank - rank.mean() for rank in ranks)
    exact = float(left @ right / math.sqrt(float(left @ left) * float(right @ right)))
    r = min(max(exact, -1.0), 1.0)
    # artanh has no value at 1; the bound is that of the nearest correlation below it.
    inner = math.copysign(1 - 1 / count**2, r) if abs(r) == 1 else r
    half = normal_quantile(level) * math.sqrt((1 + inner * inner / 2) / (count - 3))
    low, high = (math.tanh(math.atanh(inner) + sign * half) for sign in (-1.0, 1.0))
    return Interval(r, -1.0 if r == -1 else low, 1.0 if r == 1 else high, count, level)


def kendall_tau(first: ArrayLike, second: ArrayLike) -> Floats:
    """Compute Kendall's tau-b of two orders of things, over the last axis, `[..., k] -> [...]`.

    (concordant - discordant) / sqrt((pairs not tied in first) (pairs not tied in second)); NaN
    where one of the two ties everywhere.
    """
    # scipy's takes one order at a time, and a bootstrap holds thousands of them.
    floats = [np.asarray(values, np.float64) for values in (first, second)]
    left, right = (np.sign(f[..., :, None] - f[..., None, :]) for f in floats)
    pairs = ((left, right), (left, left), (right, right))
    both, in_first, in_second = ((a * b).sum(axis=(-2, -1)) for a, b in pairs)
    return ratios(both, np.sqrt(in_first * in_second))
