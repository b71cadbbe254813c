"""Divergence of two distributions, estimated from samples of the first.

Knows log-ratios. Knows nothing of models.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from accordant.statistics.estimates import FEW

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from accordant.statistics.interval import Interval


def withhold_impossible(divergence: Interval) -> Interval:
    """Leave out an interval that no divergence can have: wholly below 0, or of very few samples.

    Means of log-ratios scatter around a divergence, to both sides; a bootstrap of a handful that
    agree by chance would be sure of a negative one.
    """
    if divergence.count >= FEW and not divergence.high < 0:
        return divergence
    return replace(divergence, low=math.nan, high=math.nan)


def k3(log_ratios: ArrayLike) -> NDArray[np.float64]:
    """Compute exp(-d) - 1 + d of log-ratios d = log p - log q, elementwise; never negative.

    Its mean over samples of p is KL(p || q) (Schulman 2020, "Approximating KL divergence").
    """
    d = np.asarray(log_ratios, np.float64)
    # expm1 keeps the digits that exp(-d) - 1 would lose where the two hardly differ.
    return np.expm1(-d) + d
