"""The report of a sweep: one page, the same as JSON, a table for spreadsheets, one for terminals.

Knows the records of a sweep, its plots and the page template. Knows nothing of how runs are made.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant._version import __version__
from accordant.reports.pages import render_page, to_json, to_plain, write_files
from accordant.reports.sweep import (
    NOTHING,
    SWEEP_SCHEMA_VERSION,
    Measure,
    ObjectiveSummary,
    SweepResults,
    measure_called,
    shown_measures,
    value_parts,
    verdict,
)
from accordant.reports.sweep_plots import sweep_plots
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from rich.console import Console

HTML_NAME, JSON_NAME, CSV_NAME = "sweep.html", "sweep.json", "sweep.csv"


def write_sweep(results: SweepResults, folder: Path) -> Path:
    """Write `sweep.html`, `sweep.json` and `sweep.csv` into `folder`; the path of the page.

    Raises:
        UserError: the folder cannot be written.
    """
    write_files(
        folder,
        {
            JSON_NAME: render_sweep_json(results),
            CSV_NAME: render_sweep_csv(results),
            HTML_NAME: render_sweep_html(results),
        },
    )
    return folder / HTML_NAME


def render_sweep_json(results: SweepResults) -> str:
    """The records field by field; what is not finite (nothing measured) is null."""
    head = {
        "schema_version": SWEEP_SCHEMA_VERSION,
        "generator": f"accordant {__version__}",
        "verdict": verdict(results),
    }
    return to_json(head | to_plain(results))


def render_sweep_csv(results: SweepResults) -> str:
    """A row per run, best first: settings that vary, options, every number with its interval."""
    varied = dict.fromkeys(name for cell in results.cells for name in cell.varied)
    options = dict.fromkeys(f"option.{name}" for cell in results.cells for name in cell.options)
    named = dict.fromkeys(("method", *varied, *options))
    measures = shown_measures(results)
    numbers = [f"{m.name}{end}" for m in measures for end in ("", "_low", "_high")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", "run", "state", *named, *numbers, "seconds", "message"])
    for rank, cell in enumerate(results.cells, 1):
        values = {"method": cell.method, **cell.varied}
        values |= {f"option.{name}": value for name, value in cell.options.items()}
        found = [cell.get(measure) for measure in measures]
        ends = [end for one in found for end in (one.estimate, one.low, one.high)]
        row = [rank, cell.name, cell.state, *(values.get(name) for name in named)]
        writer.writerow(map(_csv_value, [*row, *ends, cell.seconds, cell.message]))
    return text.getvalue()


def render_sweep_html(results: SweepResults) -> str:
    """The sweep as one HTML page that needs no other file and no network."""
    plots = sweep_plots(results)
    ranked = measure_called(results.ranked_by)
    measures = shown_measures(results)
    sections = [
        *([("gains", "Plots")] if plots else []),
        ("objectives", "Objectives"),
        ("runs", "Runs"),
        ("settings", "Settings"),
    ]
    return render_page(
        "sweep.html.j2",
        plots,
        report=results,
        schema_version=SWEEP_SCHEMA_VERSION,
        json_name=JSON_NAME,
        csv_name=CSV_NAME,
        verdict=verdict(results),
        sections=sections,
        plots=plots,
        ranked=ranked,
        measures=measures,
        parts=value_parts,
        nothing=NOTHING,
        options_text=options_text,
        settings=list(_settings(results.settings)),
    )


def options_text(options: Mapping[str, Any]) -> str:
    """Options in one line: `beta 0.1, label_smoothing 0`."""
    return ", ".join(f"{name} {_plain_value(value)}" for name, value in options.items())


def print_sweep(results: SweepResults, console: Console) -> None:
    """Print the runs, best first, the objectives, what failed, and the verdict."""
    from rich.markup import escape

    measures = shown_measures(results)
    console.print(_runs_table(results, measures))
    console.print(_objectives_table(results, measures))
    for cell in results.cells:
        if cell.state == "failed":
            console.print(f"[red]failed[/]: {escape(cell.label)}: {escape(cell.message)}")
    console.print(escape(verdict(results)), style="bold", highlight=False)


def _runs_table(results: SweepResults, measures: tuple[Measure, ...]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(results.title), title_justify="left", header_style="bold")
    words = [word for cell in results.cells for word in cell.label.split()]
    table.add_column("run", overflow="fold", min_width=min(40, max(map(len, words), default=3)))
    for measure in measures:
        table.add_column(measure.label, justify="right")
    for cell in results.cells:
        numbers = [_stacked(cell.get(measure), measure) for measure in measures]
        style = "red" if cell.state == "failed" else ""
        table.add_row(escape(cell.label), *numbers, style=style)
    table.caption = "95 % intervals below the numbers"
    return table


def _objectives_table(results: SweepResults, measures: tuple[Measure, ...]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    ranked = measure_called(results.ranked_by)
    table = Table(title="Median over the grid", title_justify="left", header_style="bold")
    table.add_column("objective", no_wrap=True)
    for name in ("runs", f"best {ranked.label}", f"worst {ranked.label}"):
        table.add_column(name, justify="right")
    for measure in measures:
        table.add_column(measure.label, justify="right")
    for one in results.objectives:
        medians = [(one.medians.get(m.name, NOTHING), m) for m in measures]
        table.add_row(
            escape(one.method),
            _runs_text(one),
            _stacked(one.best_value, ranked),
            _stacked(one.worst_value, ranked),
            *(
                _stacked(value, m) if m == ranked else value_parts(value, m)[0]
                for value, m in medians
            ),
        )
    return table


def _stacked(value: Interval, measure: Measure) -> str:
    """A number with its interval below it, which keeps columns narrow."""
    return "\n".join(filter(None, value_parts(value, measure)))


def _runs_text(one: ObjectiveSummary) -> str:
    return f"{one.finished}, {one.failed} failed" if one.failed else str(one.finished)


def _settings(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
