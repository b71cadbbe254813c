"""What to draw, as plain numbers: charts, their series and dotted lines.

Knows numbers and names. Knows nothing of how a chart is drawn (reports/drawing), nor of what was
measured, so that every room may say what its numbers look like.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from accordant.statistics.interval import Interval


@dataclass(frozen=True, slots=True)
class Series:
    """Plain numbers to draw: `values`, over `xs` where the chart has an axis to put them on.

    Args:
        name: what the legend calls it.
        values: what is drawn.
        xs: places of the values (`lines`, `points`); empty for `histogram` and `bars`.
        low: lower ends of the values' intervals; empty for none.
        high: upper ends.
        labels: names of the values: of the bars, or of points to hover over.
    """

    name: str
    values: tuple[float, ...]
    xs: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    @classmethod
    def of_intervals(
        cls,
        name: str,
        numbers: Iterable[Interval],
        labels: Iterable[str] = (),
        xs: Iterable[float] = (),
    ) -> Series:
        """Make the series of some estimates with their intervals."""
        kept = tuple(numbers)
        return cls(
            name,
            tuple(number.estimate for number in kept),
            tuple(xs),
            tuple(number.low for number in kept),
            tuple(number.high for number in kept),
            tuple(labels),
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """A dotted line across a chart: at `value` of the x axis if `vertical`, else of the y axis."""

    value: float
    label: str = ""
    vertical: bool = True


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw of a finding.

    Args:
        kind: `histogram` of values, `lines` or `points` over xs, `bars` with labels.
        title: heading.
        note: one sentence on how to read it.
        x_title: axis title with the unit.
        y_title: axis title with the unit.
        series: what is drawn.
        marks: dotted lines, such as the threshold.
    """

    kind: Literal["histogram", "lines", "points", "bars"]
    title: str
    note: str
    x_title: str
    y_title: str
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
