"""Divergence of two distributions, estimated from samples of the first.

Knows log-ratios. Knows nothing of models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def k3(log_ratios: ArrayLike) -> NDArray[np.float64]:
    """Compute exp(-d) - 1 + d of log-ratios d = log p - log q, elementwise; never negative.

    Its mean over samples of p is KL(p || q) (Schulman 2020, "Approximating KL divergence").
    """
    d = np.asarray(log_ratios, np.float64)
    # expm1 keeps the digits that exp(-d) - 1 would lose where the two hardly differ.
    return np.expm1(-d) + d
