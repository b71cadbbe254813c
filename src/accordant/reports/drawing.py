"""Charts, which are plain numbers, drawn with plotly in one style, and put into words.

Knows numbers, names and plotly. Knows nothing of reports. Colours mean the same everywhere: blue is
what people preferred, orange what they rejected, grey the start; solid is held-out, faint is
training. Text and grid colours are left to the page, so that plots follow its scheme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from accordant.statistics.charts import Chart, Series
from accordant.statistics.wording import number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WANTED, UNWANTED, START, NEUTRAL, GOOD = "#2f7ed8", "#dd6b20", "#8a8f98", "#7a6fd0", "#1f9d72"
_WANTED = ("wanted", "chosen", "preferred", "desirable", "best", "completion")
_UNWANTED = ("unwanted", "rejected", "not preferred", "undesirable", "others")
# Roles, and names of series that say their role themselves.
_COLOURS = {
    **dict.fromkeys((*_WANTED, "ordered right", "after training"), WANTED),
    **dict.fromkeys((*_UNWANTED, "ordered wrong", "losses"), UNWANTED),
    **dict.fromkeys(("start", "at the start", "tied", "ties"), START),
    **dict.fromkeys(("good", "wins"), GOOD),
    "neutral": NEUTRAL,
}
_PALETTE = (WANTED, UNWANTED, NEUTRAL, GOOD, "#c2478c", "#a8861a", "#3aa6b9", "#8c564b")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
_BINS = (8, 36)
_MODES = {
    "line": "lines",
    "faint": "lines",
    "points": "markers",
    "tick": "markers",
    "labelled": "markers+text",
    "": "lines+markers",
}


def draw_chart(chart: Chart) -> Figure:
    """Draw a chart as a plotly figure; its width follows the page."""
    import plotly.graph_objects as go

    figure = go.Figure()
    _apply_style(figure, chart)
    _DRAW[chart.kind](figure, chart)
    for mark in chart.marks:
        # What is not finite has no place.
        if math.isfinite(mark.value):
            draw_line = figure.add_vline if mark.vertical else figure.add_hline
            label = {
                "annotation_text": escape(mark.label),
                "annotation_font_size": 11,
                "annotation_position": "top right" if mark.vertical else "bottom right",
            }
            line = {"dash": "dot", "width": 1.5, "color": _colour_of(mark.look)}
            draw_line(mark.value, line=line, **(label if mark.label else {}))
    return figure


def describe_chart(chart: Chart) -> str:
    """Put a chart into words, with its numbers, for who cannot see it."""
    return f"{chart.title}: {'; '.join(map(_describe_series, chart.series))}."


def _colour_of(look: str | int, name: str = "", index: int = 0) -> str:
    """Return the colour of a role or number, of a name that has one, or of a place."""
    if isinstance(look, int):
        return _PALETTE[look % len(_PALETTE)]
    return _COLOURS.get(look) or _COLOURS.get(name) or _PALETTE[index % len(_PALETTE)]


def _describe_series(series: Series) -> str:
    values = [value for value in series.values if value == value]  # not NaN
    if not values:
        return f"{series.name}: nothing"
    if series.labels and len(series.labels) <= 12 and series.style != "labelled":
        pairs = zip(series.labels, series.values, strict=True)
        places = series.xs if series.x_low else ()
        text = [f"{name} {number(value)}" for name, value in pairs]
        if places:  # both numbers of a point are measured
            text = [f"{t} at {number(x)}" for t, x in zip(text, places, strict=True)]
        return f"{series.name}: " + ", ".join(text)
    if series.xs and series.style in ("points", "tick", "labelled"):
        return f"{series.name} at " + ", ".join(map(number, series.xs))
    if len(values) == 1:
        return f"{series.name} is {number(values[0])}"
    if series.xs:
        first, last = number(series.xs[0]), number(series.xs[-1])
        path = f"from {number(values[0])} at {first} to {number(values[-1])} at {last}"
        return f"{series.name} goes {path}"
    ends = f"{number(min(values))} to {number(max(values))}"
    return (
        f"{series.name}: {len(values):,} values from {ends}, mean {number(float(np.mean(values)))}"
    )


def _draw_curves(figure: Figure, chart: Chart) -> None:
    named: set[str] = set()
    for index, series in enumerate(chart.series):
        style = series.style or ("points" if chart.kind == "points" else "")
        faint = style == "faint"
        colour = _colour_of(series.look, series.name.partition(",")[0], index)
        marker: dict[str, Any] = {"size": 6, "color": colour}
        if style == "tick":
            marker = {"symbol": "line-ns", "size": 22, "line": {"width": 4, "color": colour}}
        elif isinstance(series.look, int):
            # Colours of runs come again after eight; with its shape a run can be told.
            symbol = _SYMBOLS[series.look % len(_SYMBOLS)]
            marker = {"size": 10, "color": colour, "symbol": symbol, "opacity": 0.7}
        # A line through one point would be nothing.
        alone = len(series.values) == 1 and style in ("line", "faint")
        hover = "%{x:.4g}, %{y:.4g}<extra></extra>"
        figure.add_scatter(
            x=list(series.xs),
            y=list(series.values),
            name=escape(series.name),
            mode="markers" if alone else _MODES[style],
            line={"color": colour, "width": 1.3 if faint else 2},
            marker=marker,
            opacity=0.45 if faint else 1.0,
            error_x=_error_bars(series.xs, series.x_low, series.x_high, colour),
            error_y=_error_bars(series.values, series.low, series.high, colour),
            text=[escape(label) for label in series.labels] or None,
            textposition="top center",
            hovertemplate=f"%{{text}}<br>{hover}" if series.labels else hover,
            # A name stands once in the legend, however many series share it.
            showlegend=bool(series.name) and series.name not in named and not chart.rows,
        )
        named.add(series.name)
    is_path = any(series.style in ("line", "faint") for series in chart.series)
    figure.update_layout(hovermode="x unified" if is_path else "closest")


def _draw_bars(figure: Figure, chart: Chart) -> None:
    for index, series in enumerate(chart.series):
        _add_bars(
            figure,
            series,
            index,
            x=series.xs or [escape(label) for label in series.labels],
            y=list(series.values),
            error_y=_error_bars(series.values, series.low, series.high),
            hovertemplate="%{x}: %{y:.4g}<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.04)


def _draw_stacked(figure: Figure, chart: Chart) -> None:
    places = list(range(len(chart.rows)))
    for index, series in enumerate(chart.series):
        name = escape(series.name)
        if not series.xs:
            _add_bars(
                figure,
                series,
                index,
                x=list(series.values),
                y=places,
                width=0.42,
                orientation="h",
                text=list(series.labels),
                textposition="inside",
                insidetextanchor="middle",
                textfont={"color": "#ffffff"},
                hovertemplate=f"%{{x:.1f}} % {name}<extra></extra>",
            )
            continue
        colour = _colour_of(series.look, series.name)
        figure.add_scatter(
            x=list(series.xs),
            y=[place + 0.36 for place in places],
            mode="markers",
            name=name,
            marker={"symbol": "diamond", "size": 11, "color": colour},
            error_x=_error_bars(series.xs, series.x_low, series.x_high, colour),
            hovertemplate=f"{name} %{{x:.1f}} %<extra></extra>",
        )
    figure.update_layout(barmode="stack", legend_traceorder="normal")
    figure.update_xaxes(range=[0, 101], dtick=25)


def _draw_histograms(figure: Figure, chart: Chart) -> None:
    """Overlay histograms with common bins; zero, where inside, is a bin edge."""
    values = [np.asarray(series.values, np.float64) for series in chart.series]
    edges = _common_edges(np.concatenate(values or [np.zeros(0)]))
    for index, (series, own) in enumerate(zip(chart.series, values, strict=True)):
        counts, _ = np.histogram(own, edges)
        if counts.any():
            _add_bars(
                figure,
                series,
                index,
                x=((edges[1:] + edges[:-1]) / 2).tolist(),
                y=counts.tolist(),
                width=np.diff(edges).tolist(),
                hovertemplate=f"{escape(series.name)}, about %{{x:.3g}}: %{{y}}<extra></extra>",
            )
    figure.update_layout(barmode="overlay", bargap=0.02)


def _add_bars(figure: Figure, series: Series, index: int, **bars: Any) -> None:
    marker = {"color": _colour_of(series.look, series.name, index), "opacity": 0.78}
    figure.add_bar(name=escape(series.name), marker=marker, **bars)
    figure.update_layout(hovermode="closest")


def _common_edges(values: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """Return bin edges on multiples of a round width, so that zero is one of them."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    size = max(abs(low), abs(high))
    if high - low <= 1e-9 * size or high == low:
        low, high = low - max(0.5, 0.01 * size), high + max(0.5, 0.01 * size)
    wanted = int(np.clip(2 * math.ceil(len(values) ** (1 / 3)) + 4, *_BINS))
    width = _round_up((high - low) / wanted)
    first, last = math.floor(low / width), math.floor(high / width) + 1
    return np.arange(first, last + 1) * width


def _round_up(width: float) -> float:
    """Return the next of 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(width))
    return power * next(step for step in (1, 2, 2.5, 5, 10) if step * power >= width * (1 - 1e-9))


def _error_bars(
    values: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str = ""
) -> dict[str, Any] | None:
    """Return plotly's error bars; None without intervals."""
    if not low:
        return None

    # nan_to_num: an end that is unknown lies at its value.
    reach = [np.nan_to_num(np.abs(np.subtract(ends, values))).tolist() for ends in (high, low)]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": reach[0],
        "arrayminus": reach[1],
        "thickness": 1.5,
        "width": 4,
    }
    return bars | ({"color": colour} if colour else {})


def _apply_style(figure: Figure, chart: Chart) -> None:
    """Give a figure the style of the report; colours of text and grid are left to the page."""
    figure.update_layout(
        template="none",
        height=chart.height,
        autosize=True,
        margin={"l": 64, "r": 18, "t": 34, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 12},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_xaxes(title_text=chart.x_title, zeroline=False, automargin=True)
    figure.update_yaxes(title_text=chart.y_title, zeroline=False, automargin=True)
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(title_standoff=10, visible=bool(chart.x_title or chart.y_title))
    if chart.log_x:
        ticks = sorted({x for series in chart.series for x in series.xs})
        figure.update_xaxes(type="log", tickvals=ticks, tickformat="~g")
    if chart.shares:
        figure.update_yaxes(range=[0, 1.03], tickformat=".0%")
    if chart.rows:
        names = [escape(name) for name in chart.rows]
        figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, ticksuffix="  ")
        figure.update_yaxes(range=[len(names) - 0.4, -0.6], showgrid=False)


_DRAW = {
    "histogram": _draw_histograms,
    "bars": _draw_bars,
    "stacked": _draw_stacked,
    "lines": _draw_curves,
    "points": _draw_curves,
}
