"""An estimate with its interval: how every measured number travels.

Knows numbers. Knows nothing of where they come from, nor how an interval is computed (`estimates`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval.

    Args:
        estimate: the point estimate; NaN where nothing was measured.
        low: lower end of the interval.
        high: upper end of the interval.
        count: independent units (prompts, sequences, rankings) it rests on.
        level: confidence level, in (0, 1).
    """

    estimate: float
    low: float
    high: float
    count: int
    level: float = 0.95

    @classmethod
    def unknown(cls, count: int, level: float = 0.95) -> Interval:
        """Return the interval of what could not be measured: NaN."""
        return cls(math.nan, math.nan, math.nan, count, level)

    def excludes(self, value: float) -> bool:
        """Tell whether `value` lies outside the interval; False where nothing was measured."""
        # Not `not low <= value <= high`: that would be true of NaN, which claims nothing.
        return value < self.low or value > self.high

    def distance(self, value: float) -> float:
        """Return how far the whole interval lies from `value`; not above 0 where it holds it."""
        return max(self.low - value, value - self.high)
