"""The report of a sweep: charts, objectives over the grid, runs, and a table for spreadsheets.

Knows the results of a sweep and the parts of a report. Knows nothing of how runs are made.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from accordant.reports.report import (
    Cell,
    Facts,
    Notice,
    Plots,
    Report,
    Section,
    Table,
    TableColumn,
    columns,
)
from accordant.runs.report_parts import command_part, flatten, known, shown
from accordant.runs.sweep.charts import sweep_charts
from accordant.runs.sweep.grid import show_value
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


def sweep_report(results: SweepResults) -> Report:
    """Build the report of a sweep from what it found."""
    return Report(
        title=results.title,
        verdict=sweep_verdict(results),
        sections=_sections(results),
        name="sweep",
        kind="sweep",
        facts=known(
            model=results.model,
            data=results.data,
            trained_on=f"{results.train:,}",
            held_out=f"{results.held_out:,} {results.record_type} records",
            answers_compared_by=results.judge,
            made=results.created,
        ),
        notices=tuple(
            Notice("failed", f"{trial.label}: {trial.message}")
            for trial in results.trials
            if trial.state == "failed"
        ),
        record=results,
        schema=SWEEP_SCHEMA_VERSION,
        further={CSV_NAME: render_csv(results)},
    )


def _sections(results: SweepResults) -> tuple[Section, ...]:
    measures = shown_measures(results)
    ranked = measure_called(results.ranked_by)
    return (
        Section(
            "gains",
            "Plots",
            shown(Plots(sweep_charts(results))),
            "Bars are 95 % intervals, as are the small numbers in the tables. Point at a mark for "
            "its settings.",
        ),
        Section(
            "runs",
            "Runs",
            (_runs_table(results.trials, measures),),
            f"Best {ranked.label} first. Every run has a report of its own; all answered the same "
            "prompts and were measured on the same records.",
        ),
        Section(
            "objectives",
            "Objectives",
            (_objectives_table(results.objectives, measures, ranked),),
            "The median says what an objective gives when its hyperparameters are not tuned, best "
            "and worst how much it depends on them. The best run was chosen on the numbers shown, "
            "so its interval is too hopeful. Intervals of medians draw prompts anew for all runs "
            "together.",
            title="Objectives over the grid",
        ),
        Section(
            "settings",
            "Settings",
            (
                Facts("What all runs share", flatten(results.settings), code=True, wide=True),
                *shown(command_part(results.command)),
            ),
        ),
    )


def _runs_table(trials: Sequence[TrialResult], measures: Sequence[RunMeasure]) -> Table:
    return Table(
        "Runs",
        (
            TableColumn("#", numeric=True, on="page"),
            *columns("run", *(f"#{measure.label}" for measure in measures)),
        ),
        tuple(
            (str(place), _run_cell(trial), *(_value(trial.get(m), m) for m in measures))
            for place, trial in enumerate(trials, 1)
        ),
        title="Runs (95 % intervals below the numbers)",
        in_terminal=True,
    )


def _run_cell(trial: TrialResult) -> Cell:
    options = ", ".join(f"{name} {show_value(value)}" for name, value in trial.options.items())
    if trial.state == "failed":
        return Cell(trial.label, (f"failed: {trial.message}", options), mark="failed")
    kept = (f"model kept: runs/{trial.name}/{trial.model}",) if trial.model else ()
    # A folder's name may hold commas and equals signs, which are no part of an address.
    return Cell(trial.label, (options, *kept), f"runs/{quote(trial.name, safe='')}/report.html")


def _objectives_table(
    objectives: Sequence[ObjectiveSummary], measures: Sequence[RunMeasure], ranked: RunMeasure
) -> Table:
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
                f"{each.finished}, {each.failed} failed" if each.failed else f"{each.finished}",
                each.best,
                *(_value(value, ranked) for value in (each.best_value, each.worst_value)),
                *(_value(each.medians.get(m.name, NOTHING), m) for m in measures),
            )
            for each in objectives
        ),
        title="Median over the grid",
        in_terminal=True,
    )


def _value(value: Interval, measure: RunMeasure) -> Cell:
    text, written = measure.words(value)
    return Cell(text, (written,) if written else ())


def render_csv(results: SweepResults) -> str:
    """Render a row per run, best first: what varies, options, every number with its interval."""
    varied = [name for trial in results.trials for name in trial.varied]
    options = [f"option.{name}" for trial in results.trials for name in trial.options]
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


def _csv_value(value: Any) -> Any:
    """Return what a spreadsheet reads: nothing for what was not measured, lists as words."""
    if value is None or value != value:  # NaN alone differs from itself
        return ""
    return show_value(value) if isinstance(value, list | tuple | bool) else value
