"""What to draw, as plain numbers: charts, their series and dotted lines.

Knows numbers and names. Knows nothing of how a chart is drawn (reports/drawing), nor of what was
measured, so that every room may say what its numbers look like.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

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
        x_low: lower ends of the intervals of `xs`; empty for none.
        x_high: upper ends.
        look: its colour, by role (`wanted`, `unwanted`, `start`, `neutral`, `good`) or by the
            number of whatever it stands for; empty for that of its name or place.
        style: how curves are drawn where the kind of the chart does not say it.
    """

    name: str
    values: tuple[float, ...]
    xs: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    x_low: tuple[float, ...] = ()
    x_high: tuple[float, ...] = ()
    look: str | int = ""
    style: Literal["", "line", "faint", "points", "tick", "labelled"] = ""

    def to_json(self) -> dict[str, Any]:
        """Return the numbers, without how they look."""
        # How a chart looks is no result, and may change without one.
        shown = ("name", "values", "xs", "low", "high", "labels")
        return {name: getattr(self, name) for name in shown}

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
    look: str | int = "start"

    def to_json(self) -> dict[str, Any]:
        """Return where it lies, without how it looks."""
        return {"value": self.value, "label": self.label, "vertical": self.vertical}


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw.

    Args:
        kind: `histogram` of values, `lines` or `points` over xs, `bars` with labels or xs,
            `stacked` bars that lie, one for each of `rows`, with points over xs below them.
        title: heading.
        note: one sentence on how to read it.
        x_title: axis title with the unit; without both titles the axes are left out.
        y_title: axis title with the unit.
        series: what is drawn.
        marks: dotted lines, such as the threshold.
        rows: names of the heights 0, 1, ..., from the top.
        wide: whether it takes the whole width of a page.
        height: pixels.
        log_x: whether the x axis is logarithmic, with ticks at the values.
        shares: whether the y axis goes from 0 to 100 %.
    """

    kind: Literal["histogram", "lines", "points", "bars", "stacked"]
    title: str
    note: str
    x_title: str
    y_title: str
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    rows: tuple[str, ...] = ()
    wide: bool = False
    height: int = 320
    log_x: bool = False
    shares: bool = False

    @classmethod
    def histogram(
        cls, title: str, note: str, x_title: str, units: str, values: Iterable[float], *marks: Mark
    ) -> Chart:
        """Make the histogram of one number of each of some `units`."""
        return cls("histogram", title, note, x_title, units, (Series(units, (*values,)),), marks)

    def to_json(self) -> dict[str, Any]:
        """Return what is drawn, without how it looks."""
        shown = ("kind", "title", "note", "x_title", "y_title", "series", "marks")
        return {name: getattr(self, name) for name in shown}
