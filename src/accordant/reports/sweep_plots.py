"""The plots of a sweep: what every run bought, and at what price.

Knows the records of a sweep. Knows nothing of HTML files, nor of how runs are made. A colour and a
symbol stand for one objective in all plots.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape
from statistics import median
from typing import TYPE_CHECKING, Any

from accordant.reports.charts import Plot
from accordant.reports.drawing import (
    GOOD,
    NEUTRAL,
    START,
    UNWANTED,
    WANTED,
    mark_value,
    new_figure,
)
from accordant.reports.sweep import (
    KL,
    LENGTH,
    CellResult,
    Measure,
    SweepResults,
    measure_called,
    shown_measures,
    value_text,
)
from accordant.reports.sweep import UNWANTED as UNWANTED_CHANGE
from accordant.reports.sweep import WANTED as WANTED_CHANGE
from accordant.statistics.interval import Interval
from accordant.statistics.wording import number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_COLOURS = (WANTED, UNWANTED, GOOD, NEUTRAL, "#c2478c", "#a8861a", "#3aa6b9", "#8c564b")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")


def sweep_plots(results: SweepResults) -> tuple[Plot, ...]:
    """Spread over the grid, the frontier against divergence, length, and log-probabilities."""
    ranked = measure_called(results.ranked_by)
    made = [
        _spread_plot(results, ranked),
        _against(
            results,
            KL,
            ranked,
            "frontier",
            "Gain against distance",
            "Up and to the left is better: more gained for less moved away from the start.",
        ),
        _against(
            results,
            LENGTH,
            ranked,
            "length",
            "Gain against length",
            "Whether runs win by longer answers; the dotted line is the length before training.",
        ),
        _against(
            results,
            WANTED_CHANGE,
            UNWANTED_CHANGE,
            "logps",
            "Where the probability went",
            "Left of the dotted line wanted answers became less likely, below it unwanted ones.",
        ),
        *_effect_plots(results, ranked),
    ]
    return tuple(plot for plot in made if plot is not None)


def _effect_plots(results: SweepResults, measure: Measure) -> list[Plot]:
    """For every number that varies, the measure over it: runs as points, their medians joined."""
    names = dict.fromkeys(name for cell in results.cells for name in cell.varied)
    plots = (_effect_plot(results, measure, name) for name in names)
    return [plot for plot in plots if plot is not None]


def _effect_plot(results: SweepResults, measure: Measure, name: str) -> Plot | None:
    figure, described = new_figure(name, _axis_title(measure), height=380), []
    for one in results.objectives:
        points = [
            (float(cell.varied[name]), _scaled(cell.get(measure).estimate, measure))
            for cell in _measured(results, one.method, measure)
            if isinstance(cell.varied.get(name), int | float)
        ]
        middle = _medians(points)
        if len(middle) < 2:
            continue
        _draw_effect(figure, one.method, _look(results, one.method), points, middle)
        described.append(f"{one.method}: " + ", ".join(f"{y:.3g} at {x:g}" for x, y in middle))
    if not described:
        return None
    values = [x for trace in figure.data for x in trace.x]
    if min(values) > 0 and max(values) > 3 * min(values):
        figure.update_xaxes(type="log", tickvals=sorted(set(values)), tickformat="~g")
    figure.update_layout(hovermode="closest")
    _chance(figure, measure, vertical=False)
    title = f"Effect of {name.removeprefix('option.')}"
    note = "Points are runs, lines join their medians over all other settings."
    text = f"{measure.label} over {name}. {'; '.join(described)}."
    identifier = "effect-" + re.sub(r"[^a-z0-9]+", "-", name)
    return Plot(identifier, title, note, text, figure)


def _draw_effect(
    figure: Figure,
    method: str,
    look: dict[str, str],
    points: Sequence[tuple[float, float]],
    middle: Sequence[tuple[float, float]],
) -> None:
    import plotly.graph_objects as go

    for shape, shown in (("markers", sorted(points)), ("lines", middle)):
        figure.add_trace(
            go.Scatter(
                x=[x for x, _ in shown],
                y=[y for _, y in shown],
                mode=shape,
                name=escape(method),
                showlegend=shape == "lines",
                marker={**look, "size": 8, "opacity": 0.6},
                line={"color": look["color"]},
                hovertemplate="%{x:g}: %{y:.3g}<extra></extra>",
            )
        )


def _medians(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The median of the second number at each first one, in order."""
    at: dict[float, list[float]] = {}
    for x, y in sorted(points):
        at.setdefault(x, []).append(y)
    return [(x, median(values)) for x, values in at.items()]


def _spread_plot(results: SweepResults, measure: Measure) -> Plot | None:
    """One line per objective: every run a point, the median a bar with its interval."""
    import plotly.graph_objects as go

    shown = [one for one in results.objectives if measure.name in one.medians]
    if not shown:
        return None
    figure = new_figure(_axis_title(measure), "", height=120 + 46 * len(shown))
    for place, one in enumerate(shown):
        look = _look(results, one.method)
        cells = _measured(results, one.method, measure)
        figure.add_trace(
            go.Scatter(
                x=[_scaled(cell.get(measure).estimate, measure) for cell in cells],
                y=[place] * len(cells),
                mode="markers",
                name=escape(one.method),
                marker={**look, "size": 10, "opacity": 0.6},
                text=[escape(cell.label) for cell in cells],
                hovertemplate="%{text}: %{x:.3g}<extra></extra>",
            )
        )
        figure.add_trace(_median_mark(one.medians[measure.name], measure, place, look["color"]))
    _chance(figure, measure, vertical=True)
    names = [escape(one.method) for one in shown]
    figure.update_layout(showlegend=False, hovermode="closest")
    figure.update_yaxes(tickvals=list(range(len(shown))), ticktext=names, ticksuffix="  ")
    figure.update_yaxes(range=[len(shown) - 0.4, -0.6], showgrid=False)
    described = "; ".join(
        f"{one.method}: median {value_text(one.medians[measure.name], measure)}, best "
        f"{value_text(one.best_value, measure)}, worst {value_text(one.worst_value, measure)} of "
        f"{one.finished}"
        for one in shown
    )
    note = (
        "Each point is a run, the bar the median over the grid with its interval: the narrower the "
        "points lie together, the less an objective depends on its hyperparameters."
    )
    title = f"Robustness: {measure.label} over the grid"
    return Plot("robustness", title, note, f"{title}. {described}.", figure, wide=True)


def _median_mark(value: Interval, measure: Measure, place: int, colour: str) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[_scaled(value.estimate, measure)],
        y=[place],
        mode="markers",
        name="median",
        marker={"symbol": "line-ns", "size": 22, "line": {"width": 4, "color": colour}},
        error_x=_error_bars([value], measure, colour),
        hovertemplate="median %{x:.3g}<extra></extra>",
    )


def _against(
    results: SweepResults, x: Measure, y: Measure, identifier: str, title: str, note: str
) -> Plot | None:
    """Runs by two measures, with the intervals of both."""
    import plotly.graph_objects as go

    labels = {measure.name: measure for measure in shown_measures(results)}
    if x.name not in labels or y.name not in labels:
        return None
    x, y = labels[x.name], labels[y.name]
    figure, described = new_figure(_axis_title(x), _axis_title(y), height=380), []
    for one in results.objectives:
        cells = [cell for cell in _measured(results, one.method, x) if y.name in cell.measures]
        if not cells:
            continue
        look = _look(results, one.method)
        across, up = ([cell.get(m) for cell in cells] for m in (x, y))
        figure.add_trace(
            go.Scatter(
                x=[_scaled(value.estimate, x) for value in across],
                y=[_scaled(value.estimate, y) for value in up],
                mode="markers",
                name=escape(one.method),
                marker={**look, "size": 10},
                error_x=_error_bars(across, x, look["color"]),
                error_y=_error_bars(up, y, look["color"]),
                text=[escape(cell.label) for cell in cells],
                hovertemplate="%{text}<br>%{x:.3g}, %{y:.3g}<extra></extra>",
            )
        )
        described += [
            f"{cell.label}: {value_text(cell.get(x), x)}, {value_text(cell.get(y), y)}"
            for cell in cells
        ]
    if not described:
        return None
    figure.update_layout(hovermode="closest")
    _mark_start(figure, results, x, y)
    text = f"{title}: {x.label} and {y.label} of every run. {'; '.join(described)}."
    return Plot(identifier, title, note, text, figure)


def _mark_start(figure: Figure, results: SweepResults, x: Measure, y: Measure) -> None:
    """Where a model would lie that training left as it was."""
    if x.name == LENGTH.name:
        start = results.start_length.estimate
        mark_value(figure, start, f"start {number(start)}", vertical=True)
    elif x.name == WANTED_CHANGE.name:
        mark_value(figure, 0.0, "", vertical=True)
    _chance(figure, y, vertical=False)
    if y.name == UNWANTED_CHANGE.name:
        mark_value(figure, 0.0, "", vertical=False)


def _chance(figure: Figure, measure: Measure, *, vertical: bool) -> None:
    if measure.unit == "share":
        mark_value(figure, 50.0, "", vertical=vertical, colour=START)


def _measured(results: SweepResults, method: str, measure: Measure) -> list[CellResult]:
    return [
        cell
        for cell in results.cells
        if cell.method == method and cell.state == "finished" and measure.name in cell.measures
    ]


def _look(results: SweepResults, method: str) -> dict[str, str]:
    """Colour and symbol of an objective, by name, so that they stay when the order changes."""
    place = sorted({cell.method for cell in results.cells}).index(method)
    return {
        "color": _COLOURS[place % len(_COLOURS)],
        "symbol": _SYMBOLS[place % len(_SYMBOLS)],
    }


def _error_bars(values: Sequence[Interval], measure: Measure, colour: str) -> dict[str, Any]:
    def reaches(ends: list[float]) -> list[float]:
        return [0.0 if math.isnan(end) else _scaled(end, measure) for end in ends]

    return {
        "type": "data",
        "symmetric": False,
        "array": reaches([value.high - value.estimate for value in values]),
        "arrayminus": reaches([value.estimate - value.low for value in values]),
        "color": colour,
        "thickness": 1.2,
        "width": 3,
    }


def _scaled(value: float, measure: Measure) -> float:
    return 100 * value if measure.unit == "share" else value


def _axis_title(measure: Measure) -> str:
    return f"{measure.label}, %" if measure.unit == "share" else measure.label
