"""Corrections for asking many questions at once.

Knows p-values. Knows nothing of what was tested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accordant.statistics.estimates import LEVEL

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def bonferroni(p: float, tests: int) -> float:
    """Multiply p by the number of tests, at most 1 (Dunn 1961, Journal of the ASA 56)."""
    return min(1.0, p * tests)


def holm(p_values: ArrayLike, level: float = 1 - LEVEL) -> NDArray[np.bool_]:
    """Reject hypotheses so that any false rejection has at most probability `level`.

    The p-values in rising order are held against level / (m - i) for i = 0, 1, ... until the first
    that is larger (Holm 1979, Scandinavian Journal of Statistics 6).
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    passed = values[order] <= level / (len(values) - np.arange(len(values)))
    rejected = np.zeros(len(values), bool)
    # Once one is kept, all larger ones are, whatever their own level.
    rejected[order] = np.logical_and.accumulate(passed)
    return rejected
