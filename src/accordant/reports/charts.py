"""Charts, which are plain numbers, drawn as plots of a page, with their numbers in words.

Knows charts and drawing primitives. Knows nothing of what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from accordant.reports.drawing import (
    FURTHER,
    GOOD,
    START,
    UNWANTED,
    WANTED,
    draw_histograms,
    mark_value,
    new_figure,
)
from accordant.statistics.charts import Chart, Series
from accordant.statistics.wording import number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_COLOURS = (WANTED, UNWANTED, *FURTHER)
_NAMED = {
    "chosen": WANTED,
    "rejected": UNWANTED,
    "preferred": WANTED,
    "not preferred": UNWANTED,
    "desirable": WANTED,
    "undesirable": UNWANTED,
    "ordered right": WANTED,
    "ordered wrong": UNWANTED,
    "after training": WANTED,
    "at the start": START,
    "tied": START,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot of the page.

    Args:
        identifier: unique in the page; letters, digits and hyphens.
        title: heading above it.
        note: one sentence on how to read it.
        description: the plot in words, with its numbers, for who cannot see it.
        figure: the plotly figure.
        wide: whether it takes the whole width of the page.
    """

    identifier: str
    title: str
    note: str
    description: str
    figure: Figure
    wide: bool = False


def draw_chart(identifier: str, chart: Chart) -> Plot:
    """Draw a chart as a plot of the page."""
    figure = new_figure(chart.x_title, chart.y_title)
    draw = {"histogram": _histogram, "bars": _bars, "lines": _lines, "points": _lines}[chart.kind]
    draw(figure, chart)
    for mark in chart.marks:
        mark_value(figure, mark.value, mark.label, vertical=mark.vertical)
    described = "; ".join(map(_in_words, chart.series))
    return Plot(identifier, chart.title, chart.note, f"{chart.title}: {described}.", figure)


def _in_words(series: Series) -> str:
    values = [value for value in series.values if value == value]  # not NaN
    if not values:
        return f"{series.name}: nothing"
    if series.labels and len(series.labels) <= 12:
        pairs = zip(series.labels, series.values, strict=True)
        return f"{series.name}: " + ", ".join(f"{name} {number(value)}" for name, value in pairs)
    if series.xs:
        return f"{series.name} goes from {number(values[0])} to {number(values[-1])}"
    return f"{series.name}: {len(values):,} values from {number(min(values))} to " + number(
        max(values)
    )


def _colour(series: Series, index: int, alone: bool = False) -> str:
    return _NAMED.get(series.name, GOOD if alone else _COLOURS[index % len(_COLOURS)])


def _histogram(figure: Figure, chart: Chart) -> None:
    parts = [(s.name, s.values, _colour(s, i)) for i, s in enumerate(chart.series) if s.values]
    if parts:
        draw_histograms(figure, parts)


def _errors(series: Series) -> dict[str, Any] | None:
    if not series.low:
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": [h - v for h, v in zip(series.high, series.values, strict=True)],
        "arrayminus": [v - low for low, v in zip(series.low, series.values, strict=True)],
        "thickness": 1.5,
        "width": 4,
    }


def _bars(figure: Figure, chart: Chart) -> None:
    import plotly.graph_objects as go

    for index, series in enumerate(chart.series):
        figure.add_trace(
            go.Bar(
                x=[escape(label) for label in series.labels],
                y=list(series.values),
                name=escape(series.name),
                marker={"color": _colour(series, index), "opacity": 0.8},
                error_y=_errors(series),
                hovertemplate="%{x}: %{y:.4g}<extra></extra>",
            )
        )
    figure.update_layout(barmode="group", hovermode="closest")


def _lines(figure: Figure, chart: Chart) -> None:
    import plotly.graph_objects as go

    for index, series in enumerate(chart.series):
        figure.add_trace(
            go.Scatter(
                x=list(series.xs),
                y=list(series.values),
                name=escape(series.name),
                mode="markers" if chart.kind == "points" else "lines+markers",
                line={"color": _colour(series, index), "width": 2},
                marker={"size": 6, "color": _colour(series, index)},
                error_y=_errors(series),
                text=_hover(series.labels),
                hovertemplate="%{x:.4g}, %{y:.4g}<br>%{text}<extra></extra>"
                if series.labels
                else "%{x:.4g}, %{y:.4g}<extra></extra>",
            )
        )
    figure.update_layout(hovermode="closest")


def _hover(labels: Sequence[str]) -> list[str] | None:
    return [escape(label) for label in labels] or None
