"""Drawing primitives of the report: curves over steps, histograms, marks, one style for all.

Knows numbers, names and plotly. Knows nothing of reports. Colours mean the same everywhere: blue is
what people preferred, orange what they rejected, grey the start; solid is held-out, faint is
training. Text and grid colours are left to the page, so that plots follow its scheme.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from accordant.reports.results import Histogram
from accordant.statistics.wording import number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WANTED, UNWANTED, START, NEUTRAL, GOOD = "#2f7ed8", "#dd6b20", "#8a8f98", "#7a6fd0", "#1f9d72"
FURTHER = ("#7a6fd0", "#1f9d72", "#c2478c", "#a8861a")
_COLOURS = {
    "chosen": WANTED,
    "desirable": WANTED,
    "best": WANTED,
    "completion": WANTED,
    "rejected": UNWANTED,
    "undesirable": UNWANTED,
    "others": UNWANTED,
}
_BINS = (8, 36)


@dataclass(frozen=True, slots=True)
class Curve:
    """One logged metric over optimiser steps."""

    steps: tuple[float, ...]
    values: tuple[float, ...]


def read_curve(rows: Sequence[Mapping[str, Any]], metric: str) -> Curve:
    """The finite values of `metric` over `step`, in order of steps; empty when it was not logged.

    Held-out metrics are `eval_NAME`; `eval/NAME` is read as the same.
    """
    alternative = metric.replace("eval_", "eval/", 1)
    points = sorted(
        (float(row["step"]), float(value))
        for row in rows
        if "step" in row and _is_finite(value := row.get(metric, row.get(alternative)))
    )
    return Curve(tuple(step for step, _ in points), tuple(value for _, value in points))


def draw_pair(
    figure: Figure, rows: Sequence[Mapping[str, Any]], metric: str, name: str, colour: str
) -> str:
    """Draw a metric on training batches and on held-out records; describe it in words.

    Args:
        figure: to draw on.
        rows: logged rows, see `read_curve`.
        metric: its name on training batches.
        name: what the legend calls it; empty when the figure shows nothing else.
        colour: of both lines.

    Returns:
        The curves in words; empty when the metric was not logged, and nothing is drawn then.
    """
    import plotly.graph_objects as go

    training, held_out = read_curve(rows, metric), read_curve(rows, f"eval_{metric}")
    prefix, called, described = f"{escape(name)}, " if name else "", name or metric, []
    if training.steps:
        alone = not held_out.steps
        figure.add_trace(
            go.Scatter(
                x=list(training.steps),
                y=list(training.values),
                name=f"{prefix}training",
                mode="lines" if len(training.steps) > 1 else "markers",
                line={"color": colour, "width": 2 if alone else 1.3},
                opacity=1.0 if alone else 0.45,
                hovertemplate="%{y:.4g}",
            )
        )
        described.append(f"{called} on training batches {_path(training)}")
    if held_out.steps:
        figure.add_trace(
            go.Scatter(
                x=list(held_out.steps),
                y=list(held_out.values),
                name=f"{prefix}held-out",
                mode="lines+markers",
                line={"color": colour, "width": 2.5},
                marker={"size": 6},
                hovertemplate="%{y:.4g}",
            )
        )
        described.append(f"{called} on held-out records {_path(held_out)}")
    return "; ".join(described) + "." if described else ""


def draw_histograms(figure: Figure, parts: Iterable[tuple[str, Sequence[float], str]]) -> None:
    """Overlay histograms with common bins; zero, where inside, is a bin edge."""
    import plotly.graph_objects as go

    shown = [(name, np.asarray(values, np.float64), colour) for name, values, colour in parts]
    edges = _common_edges(np.concatenate([values for _, values, _ in shown]))
    centres, widths = bars(Histogram(tuple(edges.tolist()), (0,) * (len(edges) - 1)))
    for name, values, colour in shown:
        counts, _ = np.histogram(values, edges)
        if not counts.any():
            continue
        figure.add_trace(
            go.Bar(
                x=centres,
                y=counts.tolist(),
                width=widths,
                name=escape(name),
                marker={"color": colour, "opacity": 0.72, "line": {"width": 0}},
                hovertemplate=f"{escape(name)}, about %{{x:.3g}}: %{{y}}<extra></extra>",
            )
        )
    figure.update_layout(barmode="overlay", bargap=0.02, hovermode="closest")


def _common_edges(values: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """Bin edges on multiples of a round width, so that zero is one of them."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    size = max(abs(low), abs(high))
    if high - low <= 1e-9 * size or high == low:
        low, high = low - max(0.5, 0.01 * size), high + max(0.5, 0.01 * size)
    wanted = int(np.clip(2 * math.ceil(len(values) ** (1 / 3)) + 4, *_BINS))
    width = _round_up((high - low) / wanted)
    first, last = math.floor(low / width), math.floor(high / width) + 1
    return np.arange(first, last + 1) * width


def _round_up(width: float) -> float:
    """The next of 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(width))
    return power * next(step for step in (1, 2, 2.5, 5, 10) if step * power >= width * (1 - 1e-9))


def bars(histogram: Histogram) -> tuple[list[float], list[float]]:
    """Centres and widths of the bars of a histogram."""
    edges = np.asarray(histogram.edges)
    return ((edges[1:] + edges[:-1]) / 2).tolist(), np.diff(edges).tolist()


def mark_value(
    figure: Figure, value: float, label: str, *, vertical: bool, colour: str = START
) -> None:
    """Draw a dotted line at `value` with its label."""
    if not math.isfinite(value):
        return
    draw = figure.add_vline if vertical else figure.add_hline
    text = {"annotation_text": escape(label), "annotation_font_size": 11} if label else {}
    place = {"annotation_position": "top right" if vertical else "bottom right"} if label else {}
    draw(value, line={"dash": "dot", "width": 1.5, "color": colour}, **text, **place)


def new_figure(x_title: str, y_title: str, height: int = 320) -> Figure:
    """An empty figure with axis titles, `height` in pixels; its width follows the page."""
    import plotly.graph_objects as go

    figure = go.Figure()
    apply_style(figure, height)
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title)
    return figure


def apply_style(figure: Figure, height: int) -> None:
    """Give a figure the style of the report; colours of text and grid are left to the page."""
    figure.update_layout(
        template="none",
        height=height,
        autosize=True,
        margin={"l": 64, "r": 18, "t": 34, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 12},
        hovermode="x unified",
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_xaxes(zeroline=False, automargin=True, title_standoff=10)
    figure.update_yaxes(zeroline=False, automargin=True, title_standoff=10)


def colour_of(name: str, index: int) -> str:
    """The fixed colour of a group of completions, or one by `index` for any other name."""
    return _COLOURS.get(name, FURTHER[index % len(FURTHER)])


def _path(curve: Curve) -> str:
    if len(curve.values) == 1:
        return f"is {number(curve.values[0])} at step {curve.steps[0]:.0f}"
    return (
        f"goes from {number(curve.values[0])} at step {curve.steps[0]:.0f} to "
        f"{number(curve.values[-1])} at step {curve.steps[-1]:.0f}"
    )


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
