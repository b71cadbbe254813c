"""What a sweep found: every run's numbers side by side, and how objectives fare over the grid.

Knows the JSON reports of runs and arithmetic. Knows nothing of models, files or how runs are made.
Runs of a sweep answer the same prompts and are measured on the same held-out records, so numbers
of different runs can be compared prompt by prompt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from accordant.statistics.estimates import (
    bootstrap_mean,
    bootstrap_median_of_means,
    median_share,
)
from accordant.statistics.interval import Interval
from accordant.statistics.wording import ends, number, percent

SWEEP_SCHEMA_VERSION = 1
_WORTH = {"win": 1.0, "tie": 0.5, "loss": 0.0}
_WANTED = ("chosen", "desirable", "best", "completion")
_UNWANTED = ("rejected", "undesirable", "others")
_NAMES = {
    kind: {"wanted_logp_change": wanted, "unwanted_logp_change": unwanted}
    for kind, wanted, unwanted in (
        ("comparison", "chosen", "rejected"),
        ("joint_pair", "chosen", "rejected"),
        ("binary", "desirable", "undesirable"),
        ("ranking", "best", "others"),
    )
}
NOTHING = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True, slots=True)
class Measure:
    """A number every run of a sweep has.

    Args:
        name: its key in JSON and, with `_low` and `_high`, its columns in CSV.
        label: heading of its column.
        unit: how it is shown.
        better: 1 where higher is better, -1 where lower is, 0 where that depends.
    """

    name: str
    label: str
    unit: Literal["share", "number"]
    better: int = 0


WIN_RATE = Measure("win_rate", "win rate", "share", 1)
ACCURACY = Measure("accuracy", "held-out accuracy", "share", 1)
NLL = Measure("nll_change", "held-out nats per token, change", "number", -1)
KL = Measure("kl", "KL, nats", "number")
LENGTH = Measure("length", "tokens per answer", "number")
WANTED = Measure("wanted_logp_change", "wanted answers, log-prob change", "number")
UNWANTED = Measure("unwanted_logp_change", "unwanted answers, log-prob change", "number")
MEASURES = (WIN_RATE, KL, LENGTH, WANTED, UNWANTED, ACCURACY, NLL)


@dataclass(frozen=True, slots=True)
class CellResult:
    """One run of a sweep.

    Args:
        name: its folder below the sweep's `runs`.
        label: what tells it from the others.
        method: its objective.
        varied: values by setting.
        options: of the objective, defaults included.
        state: whether it ended with numbers.
        message: why it did not; its verdict in a line where it did.
        measures: numbers by the name of a `Measure`; only what was measured.
        units: single values behind some of them, in the order of prompts or held-out records.
        seconds: wall time of its training.
        model: folder of the trained model within the run's; empty where it was not kept.
    """

    name: str
    label: str
    method: str
    varied: Mapping[str, Any]
    options: Mapping[str, Any]
    state: Literal["finished", "failed"]
    message: str
    measures: Mapping[str, Interval] = field(default_factory=dict)
    units: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    seconds: float = math.nan
    model: str = ""

    def get(self, measure: Measure) -> Interval:
        """The number of a measure; NaN where it was not measured."""
        return self.measures.get(measure.name, NOTHING)


@dataclass(frozen=True, slots=True)
class ObjectiveSummary:
    """How one objective fares over its part of the grid.

    Args:
        method: its name.
        finished: runs with numbers.
        failed: runs without.
        best: label of the best run.
        best_value: what that run reached, by the measure that ranks.
        worst_value: what the worst one reached.
        medians: median over the runs of every measure; the ends, where there are any, resample
            prompts (or held-out records) for all runs together.
    """

    method: str
    finished: int
    failed: int
    best: str
    best_value: Interval
    worst_value: Interval
    medians: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class SweepResults:
    """Everything the report of a sweep shows.

    Args:
        title: heading.
        model: the model all runs started from.
        data: the feedback, as the user named it.
        record_type: its kind.
        train: records trained on.
        held_out: records measured on.
        ranked_by: name of the measure that orders the runs.
        cells: best first, then those without numbers.
        objectives: by the median of that measure, best first.
        start_length: tokens per answer before training.
        judge: who compared answers; empty where none were.
        settings: what all runs share.
        command: the command line.
        created: when, ISO 8601.
    """

    title: str
    model: str
    data: str
    record_type: str
    train: int
    held_out: int
    ranked_by: str
    cells: tuple[CellResult, ...]
    objectives: tuple[ObjectiveSummary, ...]
    start_length: Interval = NOTHING
    judge: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    created: str = ""


def measures_of(report: Mapping[str, Any]) -> dict[str, Interval]:
    """The numbers of a run's JSON report, by the name of a `Measure`."""
    held_out = report.get("held_out") or {}
    accuracy = held_out.get("accuracy") or held_out.get("pair_accuracy")
    wanted, unwanted = (
        next((held_out[name]["change"] for name in names if held_out.get(name)), None)
        for names in (_WANTED, _UNWANTED)
    )
    rates = report.get("win_rates") or ()
    found: dict[str, Interval | None] = {
        WIN_RATE.name: _interval(rates[0]["rate"]) if rates else None,
        KL.name: _interval((report.get("kl") or {}).get("per_sequence")),
        LENGTH.name: answer_length(report, "after"),
        WANTED.name: _interval(wanted),
        UNWANTED.name: _interval(unwanted),
        ACCURACY.name: _interval(accuracy),
        NLL.name: _interval(held_out.get("nll_change")),
    }
    return {name: value for name, value in found.items() if value is not None}


def units_of(report: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Values prompt by prompt, or record by record, behind the measures that have them."""
    rates = report.get("win_rates") or ()
    margins = ((report.get("held_out") or {}).get("reward_margins") or {}).get("values") or ()
    kind = (report.get("held_out") or {}).get("kind")
    right = tuple((float(np.sign(value)) + 1) / 2 for value in margins)
    found = {
        WIN_RATE.name: tuple(_WORTH[row["outcome"]] for row in rates[0]["rows"]) if rates else (),
        LENGTH.name: _lengths(report, "after"),
        ACCURACY.name: right if kind == "comparison" else (),
    }
    return {name: values for name, values in found.items() if values}


def answer_length(report: Mapping[str, Any], when: Literal["before", "after"]) -> Interval | None:
    """Mean tokens of the answers before or after training."""
    lengths = _lengths(report, when)
    return bootstrap_mean(lengths) if lengths else None


def shown_measures(results: SweepResults) -> tuple[Measure, ...]:
    """The measures that any run has, under the names of the kind of feedback."""
    names = _NAMES.get(results.record_type, {})
    return tuple(
        replace(measure, label=f"{names[measure.name]} log-prob, change")
        if measure.name in names
        else measure
        for measure in MEASURES
        if any(measure.name in cell.measures for cell in results.cells)
    )


def measure_called(name: str) -> Measure:
    """The measure with that name."""
    return next(measure for measure in MEASURES if measure.name == name)


def rank_cells(cells: Sequence[CellResult], measure: Measure) -> tuple[CellResult, ...]:
    """Best first; equal ones by smaller divergence and then as they came; failed ones last."""

    def key(numbered: tuple[int, CellResult]) -> tuple[bool, float, float, int]:
        place, cell = numbered
        value, kl = cell.get(measure).estimate, cell.get(KL).estimate
        unknown = cell.state == "failed" or math.isnan(value)
        return (
            unknown,
            0.0 if unknown else -value * (measure.better or 1),
            # Below zero an estimate of it is noise, not nearness.
            0.0 if math.isnan(kl) else max(0.0, kl),
            place,
        )

    return tuple(cell for _, cell in sorted(enumerate(cells), key=key))


def ranking_measure(wanted: str, cells: Sequence[CellResult]) -> Measure:
    """The measure that orders the runs: the one asked for, or the next that was measured."""
    asked = [measure for measure in MEASURES if measure.name == wanted]
    for measure in (*asked, WIN_RATE, ACCURACY, NLL):
        if any(measure.name in cell.measures for cell in cells):
            return measure
    return asked[0] if asked else WIN_RATE


def verdict(results: SweepResults) -> str:
    """What the sweep found, in two or three sentences."""
    measure = measure_called(results.ranked_by)
    finished = [cell for cell in results.cells if cell.state == "finished"]
    failed = len(results.cells) - len(finished)
    lost = f" {failed} of {len(results.cells)} runs failed." if failed else ""
    if not finished or measure.name not in finished[0].measures:
        return f"No run was measured on held-out records.{lost}"
    best = finished[0]
    first = (
        f"Best of {len(finished)} by {measure.label}: {best.label} with "
        f"{value_text(best.get(measure), measure)}."
    )
    medians = "; ".join(
        f"{one.method} {value_text(one.medians[measure.name], measure)}"
        + (f" ({one.finished} runs)" if one.finished > 1 else " (1 run)")
        for one in results.objectives
        if measure.name in one.medians
    )
    return f"{first} Median over the grid: {medians}.{lost}"


def value_text(value: Interval, measure: Measure) -> str:
    """A number with its interval: `62 % (50 to 74)`; empty where nothing was measured."""
    text, ends = value_parts(value, measure)
    return f"{text} ({ends})" if ends else text


def value_parts(value: Interval, measure: Measure) -> tuple[str, str]:
    """A number and its interval in words; each is empty where it is unknown."""
    if math.isnan(value.estimate):
        return "", ""
    text = percent(value.estimate) if measure.unit == "share" else number(value.estimate)
    return text, ends(value, measure.unit)


def summarise_objectives(
    cells: Sequence[CellResult], measure: Measure
) -> tuple[ObjectiveSummary, ...]:
    """Best, worst and median run of every objective, best median first."""
    methods = dict.fromkeys(cell.method for cell in cells)
    summaries = [
        _summarise(method, [cell for cell in cells if cell.method == method], measure)
        for method in methods
    ]

    def key(summary: ObjectiveSummary) -> tuple[bool, float]:
        value = summary.medians.get(measure.name, NOTHING).estimate
        return math.isnan(value), -value * (measure.better or 1)

    return tuple(sorted(summaries, key=key))


def _summarise(method: str, cells: Sequence[CellResult], measure: Measure) -> ObjectiveSummary:
    ranked = [cell for cell in rank_cells(cells, measure) if cell.state == "finished"]
    return ObjectiveSummary(
        method=method,
        finished=len(ranked),
        failed=len(cells) - len(ranked),
        best=ranked[0].label if ranked else "",
        best_value=ranked[0].get(measure) if ranked else NOTHING,
        worst_value=ranked[-1].get(measure) if ranked else NOTHING,
        medians={
            one.name: _median(ranked, one)
            for one in MEASURES
            if any(one.name in cell.measures for cell in ranked)
        },
    )


def _median(cells: Sequence[CellResult], measure: Measure) -> Interval:
    known = [cell for cell in cells if measure.name in cell.measures]
    if len(known) == 1:
        return known[0].get(measure)
    units = [cell.units.get(measure.name, ()) for cell in known]
    if units[0] and len({len(values) for values in units}) == 1:
        return (median_share if measure.unit == "share" else bootstrap_median_of_means)(units)
    middle = float(np.median([cell.get(measure).estimate for cell in known]))
    return Interval(middle, math.nan, math.nan, len(known))


def _lengths(report: Mapping[str, Any], when: str) -> tuple[float, ...]:
    rates = report.get("win_rates") or ()
    rows = rates[0]["rows"] if rates else ()
    tokens = [row[when]["tokens"] for row in rows]
    return () if None in tokens else tuple(map(float, tokens))


def _interval(fields: Mapping[str, Any] | None) -> Interval | None:
    """An interval of a JSON report, where what is not finite is null."""
    if fields is None or fields.get("estimate") is None:
        return None
    low, high = (
        math.nan if fields.get(name) is None else float(fields[name]) for name in ("low", "high")
    )
    return Interval(
        float(fields["estimate"]), low, high, int(fields["count"]), float(fields["level"])
    )
