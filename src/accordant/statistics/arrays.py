"""Names of the arrays that statistics work on.

Knows their types alone; numpy checks none of them when code runs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
