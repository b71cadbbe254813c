"""The report of a sweep: charts, objectives over the grid, runs, and a table for spreadsheets.

Knows the results of a sweep and the parts of a report. Knows nothing of how runs are made.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from accordant.reports.report import (
    Cell,
    Facts,
    Notice,
    Plots,
    Prose,
    Report,
    Section,
    Table,
    TableColumn,
    columns,
)
from accordant.runs.align.report import flatten
from accordant.runs.sweep.charts import sweep_charts
from accordant.runs.sweep.numbers import NOTHING, RunMeasure
from accordant.runs.sweep.results import (
    SWEEP_SCHEMA_VERSION,
    ObjectiveSummary,
    SweepResults,
    TrialResult,
    measure_called,
    shown_measures,
    sweep_verdict,
)
from accordant.statistics.interval import Interval

CSV_NAME = "sweep.csv"
_BELOW = "95 % intervals below the numbers"


def sweep_report(results: SweepResults) -> Report:
    """Build the report of a sweep from what it found."""
    charts = sweep_charts(results)
    ranked = measure_called(results.ranked_by)
    sections = (
        Section(
            "gains",
            "Plots",
            (Plots(charts),) if charts else (),
            "Bars are 95 % intervals, as are the small numbers in the tables. Point at a mark for "
            "its settings.",
        ),
        Section(
            "runs",
            "Runs",
            (_runs_table(results),),
            f"Best {ranked.label} first. Every run has a report of its own; all answered the same "
            "prompts and were measured on the same records.",
        ),
        Section(
            "objectives",
            "Objectives",
            (_objectives_table(results, ranked),),
            "The median says what an objective gives when its hyperparameters are not tuned, best "
            "and worst how much it depends on them. The best run was chosen on the numbers shown, "
            "so its interval is too hopeful. Intervals of medians draw prompts anew for all runs "
            "together.",
            title="Objectives over the grid",
        ),
        Section("settings", "Settings", _settings_parts(results)),
    )
    facts = (
        ("model", results.model),
        ("data", results.data),
        ("trained on", f"{results.train:,}"),
        ("held out", f"{results.held_out:,} {results.record_type} records"),
        ("answers compared by", results.judge),
        ("made", results.created),
    )
    return Report(
        title=results.title,
        verdict=sweep_verdict(results),
        sections=sections,
        name="sweep",
        kind="sweep",
        facts=tuple((name, value) for name, value in facts if value),
        notices=tuple(
            Notice("failed", f"{trial.label}: {trial.message}")
            for trial in results.trials
            if trial.state == "failed"
        ),
        record=results,
        schema=SWEEP_SCHEMA_VERSION,
        further={CSV_NAME: render_csv(results)},
    )


def _runs_table(results: SweepResults) -> Table:
    measures = shown_measures(results)
    return Table(
        "Runs",
        (
            TableColumn("#", numeric=True, on="page"),
            *columns("run", *(f"#{measure.label}" for measure in measures)),
        ),
        tuple(
            (str(place), _run_cell(trial), *(_value(trial.get(m), m) for m in measures))
            for place, trial in enumerate(results.trials, 1)
        ),
        title=f"Runs ({_BELOW})",
        in_terminal=True,
    )


def _run_cell(trial: TrialResult) -> Cell:
    options = options_text(trial.options)
    if trial.state == "failed":
        return Cell(trial.label, (f"failed: {trial.message}", options), mark="failed")
    folder = f"runs/{quote(trial.name, safe='')}"
    kept = (f"model kept: runs/{trial.name}/{trial.model}",) if trial.model else ()
    return Cell(trial.label, (options, *kept), f"{folder}/report.html")


def _objectives_table(results: SweepResults, ranked: RunMeasure) -> Table:
    measures = shown_measures(results)
    return Table(
        "Objectives",
        (
            *columns("objective", "#runs"),
            TableColumn("best run", on="page"),
            *columns(f"#best {ranked.label}", f"#worst {ranked.label}"),
            *columns(*(f"#{measure.label}" for measure in measures)),
        ),
        tuple(
            (
                Cell(each.method, mark="code"),
                _runs_text(each),
                each.best,
                *(_value(value, ranked) for value in (each.best_value, each.worst_value)),
                *(_value(each.medians.get(m.name, NOTHING), m) for m in measures),
            )
            for each in results.objectives
        ),
        title="Median over the grid",
        in_terminal=True,
    )


def _value(value: Interval, measure: RunMeasure) -> Cell:
    text, written = measure.words(value)
    return Cell(text, (written,) if written else ())


def _runs_text(summary: ObjectiveSummary) -> str:
    failed = f", {summary.failed} failed" if summary.failed else ""
    return f"{summary.finished}{failed}"


def _settings_parts(results: SweepResults) -> tuple[Facts | Prose, ...]:
    rows = tuple(flatten(results.settings))
    shared = Facts("What all runs share", rows, code=True, wide=True)
    command = (Prose("Command", (results.command,), code=True),) if results.command else ()
    return (shared, *command)


def render_csv(results: SweepResults) -> str:
    """Render a row per run, best first: what varies, options, every number with its interval."""
    varied = dict.fromkeys(name for trial in results.trials for name in trial.varied)
    options = dict.fromkeys(f"option.{name}" for trial in results.trials for name in trial.options)
    named = dict.fromkeys(("method", *varied, *options))
    measures = shown_measures(results)
    numbers = [f"{m.name}{end}" for m in measures for end in ("", "_low", "_high")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", "run", "state", *named, *numbers, "seconds", "message"])
    for rank, trial in enumerate(results.trials, 1):
        values = {"method": trial.method, **trial.varied}
        values |= {f"option.{name}": value for name, value in trial.options.items()}
        measured = [trial.get(measure) for measure in measures]
        ends = [end for value in measured for end in (value.estimate, value.low, value.high)]
        row = [rank, trial.name, trial.state, *(values.get(name) for name in named)]
        writer.writerow(map(_csv_value, [*row, *ends, trial.seconds, trial.message]))
    return text.getvalue()


def options_text(options: Mapping[str, Any]) -> str:
    """Write options in one line: `beta 0.1, label_smoothing 0`."""
    return ", ".join(f"{name} {_plain_value(value)}" for name, value in options.items())


def _csv_value(value: Any) -> Any:
    """What a spreadsheet reads: nothing for what was not measured, lists as words."""
    if value is None or value != value:
        return ""
    return _plain_value(value) if isinstance(value, list | tuple | bool) else value


def _plain_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
