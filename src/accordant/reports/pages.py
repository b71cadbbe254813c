"""Reports as self-contained HTML pages: one writer, one template for all verbs.

Knows templates, scripts and plots. Knows nothing of what a page reports. Everything that came from
people or models is escaped by the template, and a page forbids every script but its own (by hash)
and every request over the network.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from accordant._version import __version__
from accordant.reports.drawing import describe_chart, draw_chart
from accordant.reports.finding_views import FindingView, view_findings
from accordant.reports.report import (
    Cell,
    Facts,
    Findings,
    Part,
    Plots,
    Prose,
    Report,
    Table,
)
from accordant.statistics.charts import Chart
from accordant.statistics.wording import number

_PARTS = Path(__file__).parent / "page"
_LEAST_SHARED = 12  # characters that two answers must begin with alike for it to be shown
# Control characters become their visible pictures, so that nothing in a text can hide.
_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {127: 0x2421}


def render_html(report: Report) -> str:
    """Render a report as one HTML page that needs no other file and no network."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    views: dict[int, list[FindingView]] = {}
    charts: dict[str, Chart] = {}
    for part in report.parts:
        if isinstance(part, Plots):
            charts |= part.charts
        elif isinstance(part, Findings):
            # Numbered through the whole page, so that every anchor is one of a kind.
            views[id(part)] = view_findings(part.findings, sum(map(len, views.values())))
            for view in views[id(part)]:
                charts |= view.charts
    figures = {identifier: draw_chart(chart) for identifier, chart in charts.items()}
    scripts = {"plotly_code": plotly_code(), "page_code": _read("report.js")}
    templates = Environment(
        loader=FileSystemLoader(_PARTS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    templates.filters |= {"visible": visible, "number": number, "describe": describe_chart}
    return templates.get_template("report.html.j2").render(
        version=__version__,
        policy=_content_policy(scripts.values()),
        style=Markup(_read("report.css")),
        plots_json=Markup(_plots_json(figures)),
        **{name: Markup(code) for name, code in scripts.items()},
        report=report,
        sections=[section for section in report.sections if section.parts],
        kind_of=lambda part: type(part).__name__,
        grouped=_grouped,
        cells=_cells,
        views_of=lambda part: views[id(part)],
        splits=lambda pair: split_shared(pair.before.text, pair.after.text),
    )


def _grouped(parts: Iterable[Part]) -> Iterator[tuple[bool, bool, list[Part]]]:
    """Join neighbours: whether they share a grid, whether its plots are small, the parts."""

    def key(part: Part) -> tuple[bool, bool]:
        in_grid = isinstance(part, Plots | Table | Facts | Prose)
        folded = isinstance(part, Plots) and bool(part.folded)
        return in_grid and not folded, isinstance(part, Plots) and part.few

    for (in_grid, few), group in groupby(parts, key):
        yield in_grid, few, list(group)


def _cells(table: Table, row: Iterable[Cell | str]) -> Iterator[tuple[Cell, bool, bool]]:
    """Select the cells that a page shows: the cell, whether it is a number, whether a heading."""
    heading = next((place for place, c in enumerate(table.columns) if not c.numeric), -1)
    for place, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
        if column.on != "terminal":
            yield cell if isinstance(cell, Cell) else Cell(cell), column.numeric, place == heading


def split_shared(before: str, after: str) -> tuple[tuple[str, str], tuple[str, str]]:
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


def visible(text: str) -> str:
    """Replace control characters by their visible pictures."""
    return text.translate(_VISIBLE)


@functools.cache
def plotly_code() -> str:
    """Return the plotting library's script, as it stands in a page."""
    # npm's plotly.js-basic-dist-min (MIT): lines and bars in a quarter of the size of the whole,
    # which is all that Python's package holds. Its version is that package's.
    code = _read("plotly-basic.min.js")
    # Parsers turn CR LF into LF before hashing; a closing tag inside would end the element.
    return code.replace("\r\n", "\n").replace("</script", "<\\/script")


def _plots_json(figures: Mapping[str, Any]) -> str:
    """Write figures as JSON that is inert inside a script element, whatever it contains."""
    named = [
        {"id": identifier, **json.loads(figure.to_json(validate=True))}
        for identifier, figure in figures.items()
    ]
    text = json.dumps(named, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _content_policy(scripts: Iterable[str]) -> str:
    """Make the content security policy: the page's scripts, by hash, and no requests."""
    digests = (hashlib.sha256(code.encode()).digest() for code in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _read(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")
