"""Names of the arrays that statistics work on, and their ratios.

Knows their types alone; numpy checks none of them when code runs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def ratios(top: Floats, bottom: Floats, least: float = 0.0) -> Floats:
    """Divide elementwise; NaN where `bottom` is not above `least`."""
    known = bottom > least
    # The denominator is replaced first: numpy would warn of divisions whose result is not taken.
    return np.where(known, top / np.where(known, bottom, 1.0), np.nan)
