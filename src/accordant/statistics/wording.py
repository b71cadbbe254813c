"""Numbers in words: percent, three digits, units, the ends of an interval.

Knows numbers and units. Knows nothing of what was measured. The same number reads the same in a
page, in a terminal and in a sentence.
"""

from __future__ import annotations

import math

from accordant.statistics.interval import Interval


def percent(share: float, count: int = 0) -> str:
    """Write a share as `81 %`; with a decimal when it rests on a thousand units or more."""
    # With fewer units a tenth of a percent is far within the error.
    return "unknown" if math.isnan(share) else f"{100 * share:.{1 if count >= 1000 else 0}f} %"


def number(value: float, sign: str = "") -> str:
    """Write three significant digits without an exponent; `sign="+"` writes a plus as well."""
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    # The logarithm below has none of 0.
    if size == 0:
        return "0"
    if size >= 1e7 or 0 < size < 1e-4:
        return f"{value:{sign}.2e}"
    digits = max(0, 2 - math.floor(math.log10(size)))
    return f"{value:{sign},.{digits}f}"


def amount(value: float, unit: str, count: int = 0) -> str:
    """Write a number with its unit: `12 %`, `-3.10 nats`, `3 forms`, `4.00`."""
    if unit == "share":
        return percent(value, count)
    if unit == "number":
        return number(value)
    whole = math.isfinite(value) and value == round(value)
    return f"{value:,.0f} {unit}" if whole else f"{number(value)} {unit}"


def ends(interval: Interval, unit: str) -> str:
    """Write the ends of an interval: `72 to 88` (shares in percent) or `-4.0 to -2.2`.

    Returns:
        An empty text where there is no interval.
    """
    if math.isnan(interval.low) or math.isnan(interval.high):
        return ""
    if unit != "share":
        return f"{number(interval.low)} to {number(interval.high)}"
    digits = 1 if interval.count >= 1000 else 0
    return f"{100 * interval.low:.{digits}f} to {100 * interval.high:.{digits}f}"


def in_brackets(interval: Interval, unit: str) -> str:
    """Write what an estimate rests on: ` (95 % interval 72 to 88, n=80)`."""
    written = ends(interval, unit)
    between = f"{100 * interval.level:.0f} % interval {written}, " if written else ""
    return f" ({between}n={interval.count})"
