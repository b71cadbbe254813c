"""Findings as pages and terminals show them: numbers in words, charts as plots, anchored rows.

Knows findings, plots and how numbers are written. Knows nothing of HTML files or of what was
checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

from accordant.checks.findings import Chart, Finding, FindingRow, Series
from accordant.reports.drawing import (
    FURTHER,
    GOOD,
    UNWANTED,
    WANTED,
    draw_histograms,
    mark_value,
    new_figure,
)
from accordant.reports.plots import Plot
from accordant.reports.summary import number, percent, spread
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_COLOURS = (WANTED, UNWANTED, *FURTHER)
_NAMED = {"chosen": WANTED, "rejected": UNWANTED, "preferred": WANTED, "not preferred": UNWANTED}


@dataclass(frozen=True, slots=True)
class RowView:
    """A row of a finding: `anchor` is where a page shows its whole texts."""

    anchor: str
    value: str
    row: FindingRow


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding in words.

    Args:
        finding: the record itself.
        identifier: unique in the page.
        value: the number with its unit.
        ends: its interval in words; empty without one.
        threshold: what it was held against, with its source; empty without one.
        rows: its rows.
        left: rows that are not listed.
        measures: further numbers: name, value, interval.
        plots: its charts, drawn by `draw_charts`.
    """

    finding: Finding
    identifier: str
    value: str
    ends: str
    threshold: str
    rows: tuple[RowView, ...]
    left: int
    measures: tuple[tuple[str, str, str], ...]
    plots: tuple[Plot, ...] = ()


def view_findings(findings: Iterable[Finding]) -> tuple[FindingView, ...]:
    """Views of findings, in their order."""
    return tuple(_view(finding, index) for index, finding in enumerate(findings))


def draw_charts(view: FindingView) -> FindingView:
    """The view with the charts of its finding drawn."""
    plots = (
        _plot(chart, f"{view.identifier}-chart-{place}")
        for place, chart in enumerate(view.finding.charts, 1)
    )
    return replace(view, plots=tuple(plots))


def amount(value: float, unit: str, count: int = 0) -> str:
    """A number with its unit: `12 %`, `-3.10 nats`, `3 forms`, `4.00`."""
    if unit == "share":
        return percent(value, count)
    if unit == "number":
        return number(value)
    whole = math.isfinite(value) and value == round(value)
    return f"{value:,.0f} {unit}" if whole else f"{number(value)} {unit}"


def ends_of(interval: Interval, unit: str) -> str:
    """The interval in words: `72 to 88 %`, `-4.0 to -2.2`; empty where there is none."""
    if unit == "share":
        ends = spread(interval, "share")
        return f"{ends} %" if ends else ""
    return spread(interval, "number")


def number_line(finding: Finding) -> str:
    """Number, interval, threshold and source of a finding in a line."""
    parts = [amount(finding.number.estimate, finding.unit, finding.number.count)]
    ends = ends_of(finding.number, finding.unit)
    if ends:
        parts[0] += f" ({100 * finding.number.level:.0f} % interval {ends})"
    held = _threshold(finding)
    return " · ".join([*parts, held] if held else parts)


def _view(finding: Finding, index: int) -> FindingView:
    identifier = f"{_slug(finding.check)}-{index}"
    rows = tuple(
        RowView(f"{identifier}-row-{place}", amount(row.value, finding.row_unit), row)
        for place, row in enumerate(finding.rows, 1)
    )
    return FindingView(
        finding=finding,
        identifier=identifier,
        value=amount(finding.number.estimate, finding.unit, finding.number.count),
        ends=ends_of(finding.number, finding.unit),
        threshold=_threshold(finding),
        rows=rows,
        left=max(0, finding.concerned - len(rows)),
        measures=tuple(
            (m.name, amount(m.number.estimate, m.unit, m.number.count), ends_of(m.number, m.unit))
            for m in finding.measures
        ),
    )


def _threshold(finding: Finding) -> str:
    held = finding.threshold
    if held is None:
        return ""
    return f"threshold {amount(held.value, finding.unit)}" + (
        f": {held.source}" * bool(held.source)
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "finding"


def _plot(chart: Chart, identifier: str) -> Plot:
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
