"""The report of a run: one self-contained HTML page and the same numbers as JSON.

Knows the records of a report, its plots and the page template. Knows nothing of models or training,
nor of how a page is put together (`pages`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant._version import __version__
from accordant.reports.finding_views import draw_charts, view_findings
from accordant.reports.pages import render_page, to_json, to_plain, write_files
from accordant.reports.results import (
    SCHEMA_VERSION,
    Environment,
    GenerationRow,
    RunReport,
)
from accordant.reports.summary import key_figures, one_line, print_summary
from accordant.statistics.wording import number

if TYPE_CHECKING:
    from accordant.reports.charts import Plot

__all__ = ["one_line", "print_summary", "render_html", "render_json", "write_report"]

HTML_NAME, JSON_NAME = "report.html", "report.json"
_LEAST_SHARED = 12  # characters that two answers must begin with alike for it to be shown


def write_report(report: RunReport, folder: Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into `folder`, replacing those of an earlier write.

    Each file appears whole or not at all.

    Returns:
        The paths of the page and of the JSON.

    Raises:
        UserError: the folder cannot be written.
    """
    html, data = render_html(report), render_json(report)
    write_files(folder, {JSON_NAME: data, HTML_NAME: html})
    return folder / HTML_NAME, folder / JSON_NAME


def render_json(report: RunReport) -> str:
    """The report as strict JSON: its records field by field, with `schema_version` and `verdict`.

    What is not finite (nothing measured) is null.
    """
    head = {
        "schema_version": SCHEMA_VERSION,
        "generator": f"accordant {__version__}",
        "verdict": one_line(report),
    }
    return to_json(head | to_plain(report))


def render_html(report: RunReport) -> str:
    """The report as one HTML page that needs no other file and no network."""
    plots, plot_lists = _collect_plots(report)
    findings = tuple(map(draw_charts, view_findings(report.findings)))
    plots += [plot for view in findings for plot in view.plots]
    return render_page(
        "report.html.j2",
        plots,
        report=report,
        schema_version=SCHEMA_VERSION,
        json_name=JSON_NAME,
        verdict=one_line(report),
        figures=key_figures(report),
        tone=_tone(report),
        sections=_sections(report, plot_lists),
        answers=_answers(report),
        findings=findings,
        environment=_environment_rows(report.environment),
        configuration=list(_flatten(to_plain(report.configuration))),
        **plot_lists,
    )


def _collect_plots(report: RunReport) -> tuple[list[Plot], dict[str, Any]]:
    """All plots of the page, and the same under the names that the template uses."""
    from accordant.reports import plots

    lists: dict[str, Any] = {
        "training_plots": plots.training_plots(report),
        "further_plots": plots.further_plots(report),
        "held_out_plots": plots.held_out_plots(report.held_out),
    }
    single: dict[str, Plot | None] = {
        "win_plot": plots.win_rate_plot(report.win_rates),
        "kl_plot": plots.kl_plot(report.kl),
        "length_plot": plots.length_plot(report.data),
    }
    found = [plot for group in lists.values() for plot in group]
    found += [plot for plot in single.values() if plot is not None]
    return found, lists | single


def _tone(report: RunReport) -> str:
    """`good` when all that the verdict weighs improved, `bad` when none did and some got worse."""
    figures = [figure for figure in key_figures(report) if figure.clause]
    judged = [figure for figure in figures if figure.improves is not None]
    if judged and all(figure.improves for figure in judged):
        return "good"
    worse = any(figure.tone == "bad" for figure in judged)
    return "bad" if worse and not any(figure.improves for figure in judged) else "neutral"


def _sections(report: RunReport, plot_lists: dict[str, Any]) -> list[tuple[str, str]]:
    trained = plot_lists["training_plots"] or plot_lists["further_plots"]
    present = (
        ("findings", "Findings", report.findings),
        ("held-out", "Held-out results", report.held_out),
        ("training", "Training", trained),
        ("answers", "Answers", report.win_rates),
        ("kl", "Distance from the reference", report.kl),
        ("data", "Data", True),
        ("run", "Run", True),
    )
    return [(anchor, name) for anchor, name, content in present if content]


def _answers(report: RunReport) -> list[tuple[GenerationRow, tuple[str, str], tuple[str, str]]]:
    """Rows of the first judge, each answer split after what both have in common."""
    rows = report.win_rates[0].rows if report.win_rates else ()
    return [(row, *_split_shared(row.before.text, row.after.text)) for row in rows]


def _split_shared(before: str, after: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Split two texts after the words that both begin with: ((shared, rest), (shared, rest))."""
    if before == after:
        return ("", before), ("", after)
    pairs = enumerate(zip(before, after, strict=False))
    least = min(len(before), len(after))
    length = next((index for index, (old, new) in pairs if old != new), least)
    while length and not before[length - 1].isspace():
        length -= 1
    if length < _LEAST_SHARED:
        return ("", before), ("", after)
    return (before[:length], before[length:]), (after[:length], after[length:])


def _environment_rows(environment: Environment) -> Iterator[tuple[str, str]]:
    yield "hardware", environment.hardware
    if environment.precision:
        yield "precision", environment.precision
    if not math.isnan(environment.seconds):
        yield "training time", _duration(environment.seconds)
    if not math.isnan(environment.tokens_per_second):
        yield "speed", f"{number(environment.tokens_per_second)} tokens/s"
    if environment.peak_memory_bytes is not None:
        yield "peak memory", f"{environment.peak_memory_bytes / 1e9:.1f} GB"
    yield from environment.versions.items()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest} s"


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested options as (dotted name, value) rows."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
