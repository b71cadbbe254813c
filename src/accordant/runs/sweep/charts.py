"""The charts of a sweep: what every run bought, and at what price.

Knows the results of a sweep. Knows nothing of pages, nor of how runs are made. A colour and a
symbol stand for one objective in all charts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from accordant.runs.sweep.numbers import KL, LENGTH, UNWANTED, WANTED, RunMeasure
from accordant.runs.sweep.results import (
    SweepResults,
    TrialResult,
    measure_called,
    shown_measures,
)
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.interval import Interval
from accordant.statistics.wording import number


def sweep_charts(results: SweepResults) -> dict[str, Chart]:
    """Return spread over the grid, gain against divergence and length, log-probs, and effects."""
    ranked = measure_called(results.ranked_by)
    made = {
        "robustness": _spread(results, ranked),
        "frontier": _against(
            results,
            KL,
            ranked,
            "Gain against distance",
            "Up and to the left is better: more gained for less moved away from the start.",
        ),
        "length": _against(
            results,
            LENGTH,
            ranked,
            "Gain against length",
            "Whether runs win by longer answers; the dotted line is the length before training.",
        ),
        "logps": _against(
            results,
            WANTED,
            UNWANTED,
            "Where the probability went",
            "Left of the dotted line wanted answers became less likely, below it unwanted ones.",
        ),
    }
    for name in dict.fromkeys(name for trial in results.trials for name in trial.varied):
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower())
        made[f"effect-{slug}"] = _effect(results, ranked, name)
    return {slug: chart for slug, chart in made.items() if chart is not None and chart.series}


def _effect(results: SweepResults, measure: RunMeasure, name: str) -> Chart:
    """Draw a number that varies against the measure: runs as points, their medians joined."""
    series: list[Series] = []
    for method in (objective.method for objective in results.objectives):
        points = sorted(
            (float(trial.varied[name]), _scaled(trial, measure).estimate)
            for trial in _measured(results, method, measure)
            if isinstance(trial.varied.get(name), int | float)
        )
        middle = {x: median([y for other, y in points if other == x]) for x, _ in points}
        if len(middle) > 1:
            look, (across, up) = _look(results, method), zip(*points, strict=True)
            series.append(Series(method, up, across, look=look, style="points"))
            series.append(Series(method, tuple(middle.values()), tuple(middle), look=look))
    xs = [x for each in series for x in each.xs]
    return Chart(
        "lines",
        f"Effect of {name.removeprefix('option.')}",
        "Points are runs, lines join their medians over all other settings.",
        name,
        _axis_title(measure),
        tuple(series),
        _chance(measure, vertical=False),
        height=380,
        # Learning rates and betas are tried in powers; others lie too near each other for it.
        log_x=bool(xs) and min(xs) > 0 and max(xs) > 3 * min(xs),
    )


def _spread(results: SweepResults, measure: RunMeasure) -> Chart:
    """Draw one row per objective: every run a point, the median a bar with its interval."""
    shown = [each for each in results.objectives if measure.name in each.medians]
    series: list[Series] = []
    for place, objective in enumerate(shown):
        runs = _measured(results, objective.method, measure)
        look, height = _look(results, objective.method), float(place)
        points = _series(objective.method, [height] * len(runs), runs, measure)
        middle = _percent(objective.medians[measure.name], measure)
        series += [
            replace(points, x_low=(), x_high=(), look=look, style="points"),
            Series(
                f"median of {objective.method}",
                (height,),
                (middle.estimate,),
                x_low=(middle.low,),
                x_high=(middle.high,),
                look=look,
                style="tick",
            ),
        ]
    return Chart(
        "points",
        f"Robustness: {measure.label} over the grid",
        "Each point is a run, the bar the median over the grid with its interval: the narrower the "
        "points lie together, the less an objective depends on its hyperparameters.",
        _axis_title(measure),
        "",
        tuple(series),
        _chance(measure, vertical=True),
        rows=tuple(objective.method for objective in shown),
        wide=True,
        height=120 + 46 * len(shown),
    )


def _against(
    results: SweepResults, x: RunMeasure, y: RunMeasure, title: str, note: str
) -> Chart | None:
    """Draw runs by two measures, with the intervals of both; None where one was not taken."""
    named = {measure.name: measure for measure in shown_measures(results)}
    if x.name not in named or y.name not in named:
        return None
    # Under the names that this kind of feedback has for them.
    x, y = named[x.name], named[y.name]
    series = []
    for method in (objective.method for objective in results.objectives):
        runs = [run for run in _measured(results, method, x) if y.name in run.measures]
        if runs:
            up = [_scaled(run, y) for run in runs]
            points = _series(method, [value.estimate for value in up], runs, x)
            low, high = (tuple(getattr(value, end) for value in up) for end in ("low", "high"))
            series.append(replace(points, low=low, high=high, look=_look(results, method)))
    start = results.start_length.estimate
    # Where a model would lie that training left as it was.
    marks = (
        *([Mark(start, f"start {number(start)}")] if x.name == LENGTH.name else ()),
        *([Mark(0.0)] if x.name == WANTED.name else ()),
        *_chance(y, vertical=False),
        *([Mark(0.0, vertical=False)] if y.name == UNWANTED.name else ()),
    )
    across, upwards = _axis_title(x), _axis_title(y)
    return Chart("points", title, note, across, upwards, tuple(series), marks, height=380)


def _series(
    name: str, heights: Sequence[float], runs: Sequence[TrialResult], x: RunMeasure
) -> Series:
    """Place runs by a measure across, with its intervals, at given heights."""
    across = [_scaled(run, x) for run in runs]
    return Series(
        name,
        tuple(heights),
        tuple(value.estimate for value in across),
        labels=tuple(run.label for run in runs),
        x_low=tuple(value.low for value in across),
        x_high=tuple(value.high for value in across),
    )


def _chance(measure: RunMeasure, *, vertical: bool) -> tuple[Mark, ...]:
    return (Mark(50.0, vertical=vertical),) if measure.unit == "share" else ()


def _measured(results: SweepResults, method: str, measure: RunMeasure) -> list[TrialResult]:
    return [run for run in results.trials if run.method == method and measure.name in run.measures]


def _look(results: SweepResults, method: str) -> int:
    """Number an objective by its name, so that colours stay when the order changes."""
    return sorted({trial.method for trial in results.trials}).index(method)


def _scaled(trial: TrialResult, measure: RunMeasure) -> Interval:
    return _percent(trial.get(measure), measure)


def _percent(value: Interval, measure: RunMeasure) -> Interval:
    """Return a share in percent, and any other number as it is."""
    scale = 100 if measure.unit == "share" else 1
    low, high = scale * value.low, scale * value.high
    return replace(value, estimate=scale * value.estimate, low=low, high=high)


def _axis_title(measure: RunMeasure) -> str:
    return f"{measure.label}, %" if measure.unit == "share" else measure.label
