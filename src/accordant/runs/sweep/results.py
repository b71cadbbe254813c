"""What a sweep found: every run's numbers side by side, and how objectives fare over the grid.

Knows the numbers of runs and arithmetic. Knows nothing of models, files or how runs are made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from accordant.runs.sweep.numbers import (
    ACCURACY,
    KL,
    MEASURES,
    NLL,
    NOTHING,
    WIN_RATE,
    RunMeasure,
    RunNumbers,
)
from accordant.statistics.estimates import bootstrap_median_of_means, median_share
from accordant.statistics.interval import Interval

SWEEP_SCHEMA_VERSION = 1
_CELL = (
    *("name", "label", "method", "varied", "options", "state"),
    *("message", "measures", "units", "seconds", "model"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult(RunNumbers):
    """One run of a sweep with what it left."""

    name: str  # its folder below the sweep's `runs`
    label: str  # what tells it from the others
    method: str
    varied: Mapping[str, Any]  # values by setting
    options: Mapping[str, Any]  # of the objective, defaults included
    state: Literal["finished", "failed"]  # whether it ended with numbers
    model: str = ""  # folder of the trained model within the run's; empty where it was not kept

    def get(self, measure: RunMeasure) -> Interval:
        """Return the number of a measure; NaN where it was not measured."""
        return self.measures.get(measure.name, NOTHING)

    def to_json(self) -> dict[str, Any]:
        """Return the run's own fields; what all runs share stands once in the sweep's."""
        return {name: getattr(self, name) for name in _CELL}


@dataclass(frozen=True, slots=True)
class ObjectiveSummary:
    """How one objective fares over its part of the grid."""

    method: str
    finished: int  # runs with numbers
    failed: int  # runs without
    best: str  # label of the best run
    best_value: Interval  # what that run reached, by the measure that ranks
    worst_value: Interval  # what the worst one reached
    # median over the runs of every measure; the ends, where there are any, resample prompts (or
    # held-out records) for all runs together
    medians: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class SweepResults:
    """Everything the report of a sweep shows."""

    title: str
    model: str  # the model all runs started from
    data: str  # the feedback, as the user named it
    record_type: str
    train: int
    held_out: int
    ranked_by: str  # name of the measure that orders the runs
    trials: tuple[TrialResult, ...]  # best first, then those without numbers
    objectives: tuple[ObjectiveSummary, ...]  # by the median of that measure, best first
    start_length: Interval = NOTHING  # tokens per answer before training
    judge: str = ""  # who compared answers; empty where none were
    # names of wanted and unwanted completions by the measure of their movement
    groups: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)  # what all runs share
    command: str = ""
    created: str = ""  # when, ISO 8601

    def to_json(self) -> dict[str, Any]:
        """Return the fields; the runs stand in `cells`."""
        return cells_json(self)


def cells_json(record: Any) -> dict[str, Any]:
    """Return a record's fields by name; `trials` is `cells` in everything that is written."""
    names = (field.name for field in fields(record))
    return {"cells" if name == "trials" else name: getattr(record, name) for name in names}


def shown_measures(results: SweepResults) -> tuple[RunMeasure, ...]:
    """Return the measures that any run has, under the names of the kind of feedback."""
    return tuple(
        replace(measure, label=f"{results.groups[measure.name]} log-prob, change")
        if measure.name in results.groups
        else measure
        for measure in _measured_by(results.trials)
    )


def measure_called(name: str) -> RunMeasure:
    """Return the measure with that name."""
    return next(measure for measure in MEASURES if measure.name == name)


def rank_trials(trials: Sequence[TrialResult], measure: RunMeasure) -> tuple[TrialResult, ...]:
    """Order best first; equal ones by smaller divergence, then as they came; failed ones last."""

    def key(trial: TrialResult) -> tuple[bool, float, float]:
        value, kl = trial.get(measure).estimate, trial.get(KL).estimate
        unknown = trial.state == "failed" or math.isnan(value)
        # Below zero an estimate of the divergence is noise, not nearness.
        distance = 0.0 if math.isnan(kl) else max(0.0, kl)
        return unknown, 0.0 if unknown else -value * (measure.better or 1), distance

    return tuple(sorted(trials, key=key))


def ranking_measure(wanted: str, trials: Sequence[TrialResult]) -> RunMeasure:
    """Return the measure that orders the runs: the one asked for, or the next that was measured."""
    order = (measure_called(wanted), WIN_RATE, ACCURACY, NLL)
    measured = _measured_by(trials)
    return next((measure for measure in order if measure in measured), order[0])


def sweep_verdict(results: SweepResults) -> str:
    """Say what the sweep found, in two or three sentences."""
    measure = measure_called(results.ranked_by)
    finished = [trial for trial in results.trials if trial.state == "finished"]
    failed = len(results.trials) - len(finished)
    lost = f" {failed} of {len(results.trials)} runs failed." if failed else ""
    if not finished or measure.name not in finished[0].measures:
        return f"No run was measured on held-out records.{lost}"
    best = finished[0]
    medians = "; ".join(
        f"{each.method} {measure.text(each.medians[measure.name])}"
        f" ({each.finished} run{'s' if each.finished > 1 else ''})"
        for each in results.objectives
        if measure.name in each.medians
    )
    return (
        f"Best of {len(finished)} by {measure.label}: {best.label} with "
        f"{measure.text(best.get(measure))}. Median over the grid: {medians}.{lost}"
    )


def summarise_objectives(
    trials: Sequence[TrialResult], measure: RunMeasure
) -> tuple[ObjectiveSummary, ...]:
    """Give best, worst and median run of every objective, best median first."""
    summaries = [
        _summarise(method, [trial for trial in trials if trial.method == method], measure)
        for method in dict.fromkeys(trial.method for trial in trials)
    ]

    def key(summary: ObjectiveSummary) -> tuple[bool, float]:
        value = summary.medians.get(measure.name, NOTHING).estimate
        return math.isnan(value), -value * (measure.better or 1)

    return tuple(sorted(summaries, key=key))


def _summarise(method: str, trials: Sequence[TrialResult], measure: RunMeasure) -> ObjectiveSummary:
    ranked = [trial for trial in rank_trials(trials, measure) if trial.state == "finished"]
    return ObjectiveSummary(
        method=method,
        finished=len(ranked),
        failed=len(trials) - len(ranked),
        best=ranked[0].label if ranked else "",
        best_value=ranked[0].get(measure) if ranked else NOTHING,
        worst_value=ranked[-1].get(measure) if ranked else NOTHING,
        medians={each.name: _median(ranked, each) for each in _measured_by(ranked)},
    )


def _measured_by(trials: Sequence[TrialResult]) -> list[RunMeasure]:
    """Return the measures that at least one of the runs has."""
    return [m for m in MEASURES if any(m.name in trial.measures for trial in trials)]


def _median(trials: Sequence[TrialResult], measure: RunMeasure) -> Interval:
    known = [trial for trial in trials if measure.name in trial.measures]
    if len(known) == 1:
        return known[0].get(measure)
    # The same prompts in every run: drawn anew for all of them together, or not at all.
    units = [trial.units.get(measure.name, ()) for trial in known]
    if units[0] and len({len(values) for values in units}) == 1:
        return (median_share if measure.unit == "share" else bootstrap_median_of_means)(units)
    middle = float(np.median([trial.get(measure).estimate for trial in known]))
    return Interval(middle, math.nan, math.nan, len(known))
