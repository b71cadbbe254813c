"""How far two numbers of the same units order them alike.

Knows arrays of numbers. Knows nothing of where they come from.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from accordant.statistics.estimates import LEVEL, to_floats
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

_FEWEST = 4


def spearman(
    first: ArrayLike | Tensor, second: ArrayLike | Tensor, level: float = LEVEL
) -> Interval:
    """Spearman's rank correlation, in [-1, 1], with the interval of Bonett and Wright.

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

    one, other = to_floats(first, "first"), to_floats(second, "second")
    if one.shape != other.shape:
        raise ValueError(f"first {one.shape} and second {other.shape} differ in shape")
    count = len(one)
    ranks = [rankdata(values) for values in (one, other)]
    if count < _FEWEST or any(rank.std() == 0 for rank in ranks):
        return Interval(math.nan, math.nan, math.nan, count, level)
    left, right = (rank - rank.mean() for rank in ranks)
    found = float(left @ right / math.sqrt(float(left @ left) * float(right @ right)))
    r = min(max(found, -1.0), 1.0)
    if abs(r) == 1:
        # artanh has no value there; the bound is that of the nearest correlation below it.
        inner = math.copysign(1 - 1 / count**2, r)
        low, high = sorted((r, _shifted(inner, count, level, -math.copysign(1, r))))
        return Interval(r, low, high, count, level)
    return Interval(
        r, _shifted(r, count, level, -1.0), _shifted(r, count, level, 1.0), count, level
    )


def _shifted(r: float, count: int, level: float, sign: float) -> float:
    z = NormalDist().inv_cdf((1 + level) / 2)
    return math.tanh(math.atanh(r) + sign * z * math.sqrt((1 + r * r / 2) / (count - 3)))
