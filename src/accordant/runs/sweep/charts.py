"""The charts of a sweep: what every run bought, and at what price.

Knows the results of a sweep. Knows nothing of pages, nor of how runs are made. A colour and a
symbol stand for one objective in all charts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    return {name: chart for name, chart in made.items() if chart is not None and chart.series}


def _effect(results: SweepResults, measure: RunMeasure, name: str) -> Chart | None:
    """A number that varies against the measure: runs as points, their medians joined."""
    series: list[Series] = []
    for objective in results.objectives:
        points = sorted(
            (float(trial.varied[name]), _scaled(trial.get(measure).estimate, measure))
            for trial in _measured(results, objective.method, measure)
            if isinstance(trial.varied.get(name), int | float)
        )
        middle = {x: median([y for other, y in points if other == x]) for x, _ in points}
        if len(middle) < 2:
            continue
        look = _look(results, objective.method)
        xs, ys = zip(*points, strict=True)
        lines = Series(objective.method, tuple(middle.values()), tuple(middle), look=look)
        series += [Series(objective.method, ys, xs, look=look, style="points"), lines]
    values = [x for each in series for x in each.xs]
    return Chart(
        "lines",
        f"Effect of {name.removeprefix('option.')}",
        "Points are runs, lines join their medians over all other settings.",
        name,
        _axis_title(measure),
        tuple(series),
        _chance(measure, vertical=False),
        height=380,
        log_x=bool(values) and min(values) > 0 and max(values) > 3 * min(values),
    )


def _spread(results: SweepResults, measure: RunMeasure) -> Chart:
    """One row per objective: every run a point, the median a bar with its interval."""
    shown = [each for each in results.objectives if measure.name in each.medians]
    series: list[Series] = []
    for place, objective in enumerate(shown):
        trials = _measured(results, objective.method, measure)
        look = _look(results, objective.method)
        middle = objective.medians[measure.name]
        series += [
            Series(
                objective.method,
                (float(place),) * len(trials),
                tuple(_scaled(trial.get(measure).estimate, measure) for trial in trials),
                labels=tuple(trial.label for trial in trials),
                look=look,
                style="points",
            ),
            Series(
                f"median of {objective.method}",
                (float(place),),
                (_scaled(middle.estimate, measure),),
                x_low=(_scaled(middle.low, measure),),
                x_high=(_scaled(middle.high, measure),),
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
    """Runs by two measures, with the intervals of both."""
    named = {measure.name: measure for measure in shown_measures(results)}
    if x.name not in named or y.name not in named:
        return None
    x, y = named[x.name], named[y.name]
    series = []
    for objective in results.objectives:
        trials = _measured(results, objective.method, x)
        trials = [trial for trial in trials if y.name in trial.measures]
        if not trials:
            continue
        across = [_scaled_interval(trial.get(x), x) for trial in trials]
        up = [_scaled_interval(trial.get(y), y) for trial in trials]
        series.append(
            Series(
                objective.method,
                tuple(value.estimate for value in up),
                tuple(value.estimate for value in across),
                tuple(value.low for value in up),
                tuple(value.high for value in up),
                tuple(trial.label for trial in trials),
                tuple(value.low for value in across),
                tuple(value.high for value in across),
                _look(results, objective.method),
            )
        )
    return Chart(
        "points",
        title,
        note,
        _axis_title(x),
        _axis_title(y),
        tuple(series),
        _start_marks(results, x, y),
        height=380,
    )


def _start_marks(results: SweepResults, x: RunMeasure, y: RunMeasure) -> tuple[Mark, ...]:
    """Where a model would lie that training left as it was."""
    start = results.start_length.estimate
    return (
        *([Mark(start, f"start {number(start)}")] if x.name == LENGTH.name else ()),
        *([Mark(0.0)] if x.name == WANTED.name else ()),
        *_chance(y, vertical=False),
        *([Mark(0.0, vertical=False)] if y.name == UNWANTED.name else ()),
    )


def _chance(measure: RunMeasure, *, vertical: bool) -> tuple[Mark, ...]:
    return (Mark(50.0, vertical=vertical),) if measure.unit == "share" else ()


def _measured(results: SweepResults, method: str, measure: RunMeasure) -> Sequence[TrialResult]:
    return [
        trial
        for trial in results.trials
        if trial.method == method and trial.state == "finished" and measure.name in trial.measures
    ]


def _look(results: SweepResults, method: str) -> int:
    """The number of an objective, by name, so that colours stay when the order changes."""
    return sorted({trial.method for trial in results.trials}).index(method)


def _scaled(value: float, measure: RunMeasure) -> float:
    return 100 * value if measure.unit == "share" else value


def _scaled_interval(value: Interval, measure: RunMeasure) -> Interval:
    middle, low, high = (_scaled(end, measure) for end in (value.estimate, value.low, value.high))
    return Interval(middle, low, high, value.count, value.level)


def _axis_title(measure: RunMeasure) -> str:
    return f"{measure.label}, %" if measure.unit == "share" else measure.label
