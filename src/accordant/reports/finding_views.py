"""Findings as pages and terminals show them: numbers in words, charts as plots, anchored rows.

Knows findings, plots and how numbers are written. Knows nothing of HTML files or of what was
checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from accordant.checks.findings import Finding, FindingRow
from accordant.reports.charts import Plot, draw_chart
from accordant.statistics.interval import Interval
from accordant.statistics.wording import amount, ends


@dataclass(frozen=True, slots=True)
class RowView:
    """A row of a finding: `anchor` is where a page shows its whole texts."""

    anchor: str
    value: str
    row: FindingRow


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding in words.

    Args:
        finding: the record itself.
        identifier: unique in the page.
        value: the number with its unit.
        ends: its interval in words; empty without one.
        threshold: what it was held against, with its source; empty without one.
        rows: its rows.
        left: rows that are not listed.
        measures: further numbers: name, value, interval.
        plots: its charts, drawn by `draw_charts`.
    """

    finding: Finding
    identifier: str
    value: str
    ends: str
    threshold: str
    rows: tuple[RowView, ...]
    left: int
    measures: tuple[tuple[str, str, str], ...]
    plots: tuple[Plot, ...] = ()


def view_findings(findings: Iterable[Finding]) -> tuple[FindingView, ...]:
    """Views of findings, in their order."""
    return tuple(_view(finding, index) for index, finding in enumerate(findings))


def draw_charts(view: FindingView) -> FindingView:
    """The view with the charts of its finding drawn."""
    plots = (
        draw_chart(f"{view.identifier}-chart-{place}", chart)
        for place, chart in enumerate(view.finding.charts, 1)
    )
    return replace(view, plots=tuple(plots))


def ends_of(interval: Interval, unit: str) -> str:
    """The interval in words: `72 to 88 %`, `-4.0 to -2.2`; empty where there is none."""
    written = ends(interval, unit)
    return f"{written} %" if written and unit == "share" else written


def _view(finding: Finding, index: int) -> FindingView:
    identifier = f"{_slug(finding.check)}-{index}"
    rows = tuple(
        RowView(f"{identifier}-row-{place}", amount(row.value, finding.row_unit), row)
        for place, row in enumerate(finding.rows, 1)
    )
    return FindingView(
        finding=finding,
        identifier=identifier,
        value=amount(finding.number.estimate, finding.unit, finding.number.count),
        ends=ends_of(finding.number, finding.unit),
        threshold=_threshold(finding),
        rows=rows,
        left=max(0, finding.concerned - len(rows)),
        measures=tuple(
            (m.name, amount(m.number.estimate, m.unit, m.number.count), ends_of(m.number, m.unit))
            for m in finding.measures
        ),
    )


def _threshold(finding: Finding) -> str:
    held = finding.threshold
    if held is None:
        return ""
    return f"threshold {amount(held.value, finding.unit)}" + (
        f": {held.source}" * bool(held.source)
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "finding"
