"""Findings as pages and terminals show them: numbers in words, anchored rows, named charts.

Knows findings and how numbers are written. Knows nothing of HTML files or of what was checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from accordant.checks.findings import Finding, FindingRow
from accordant.statistics.charts import Chart
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
        charts: its charts by their identifiers in the page.
    """

    finding: Finding
    identifier: str
    value: str
    ends: str
    threshold: str
    rows: tuple[RowView, ...]
    left: int
    measures: tuple[tuple[str, str, str], ...]
    charts: Mapping[str, Chart]


def view_findings(findings: Iterable[Finding], first: int = 0) -> tuple[FindingView, ...]:
    """Return views of findings, in their order; the first has the number `first` in the page."""
    return tuple(_view(finding, place) for place, finding in enumerate(findings, first))


def finding_identifier(finding: Finding, place: int) -> str:
    """Return the identifier of the finding with the number `place` of a page."""
    slug = re.sub(r"[^a-z0-9]+", "-", finding.check.lower()).strip("-") or "finding"
    return f"{slug}-{place}"


def ends_of(interval: Interval, unit: str) -> str:
    """Write the interval as `72 to 88 %`, `-4.0 to -2.2`; empty where there is none."""
    written = ends(interval, unit)
    return f"{written} %" if written and unit == "share" else written


def _view(finding: Finding, place: int) -> FindingView:
    identifier = finding_identifier(finding, place)
    rows = tuple(
        RowView(f"{identifier}-row-{number}", amount(row.value, finding.row_unit), row)
        for number, row in enumerate(finding.rows, 1)
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
        charts={
            f"{identifier}-chart-{number}": chart for number, chart in enumerate(finding.charts, 1)
        },
    )


def _threshold(finding: Finding) -> str:
    held = finding.threshold
    if held is None:
        return ""
    source = f": {held.source}" if held.source else ""
    return f"threshold {amount(held.value, finding.unit)}{source}"
