"""Findings as pages and terminals show them: numbers in words, anchored rows, named charts.

Knows findings and how numbers are written. Knows nothing of HTML files or of what was checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from accordant.checks.findings import Finding, FindingRow
from accordant.statistics.charts import Chart
from accordant.statistics.interval import Interval
from accordant.statistics.wording import amount, ends


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding in words; `place` is its number in the page."""

    finding: Finding
    place: int

    @property
    def identifier(self) -> str:
        """Its identifier, unique in the page."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.finding.check.lower()).strip("-") or "finding"
        return f"{slug}-{self.place}"

    @property
    def value(self) -> str:
        """The number with its unit."""
        return amount(self.finding.number.estimate, self.finding.unit, self.finding.number.count)

    @property
    def ends(self) -> str:
        """The interval in words; empty without one."""
        return ends_of(self.finding.number, self.finding.unit)

    @property
    def threshold(self) -> str:
        """What the number was held against, with its source; empty without one."""
        held = self.finding.threshold
        if held is None:
            return ""
        source = f": {held.source}" if held.source else ""
        return f"threshold {amount(held.value, self.finding.unit)}{source}"

    @property
    def rows(self) -> list[tuple[str, str, FindingRow]]:
        """Its rows: where the page shows the whole texts, the number with its unit, the row."""
        return [
            (f"{self.identifier}-row-{place}", amount(row.value, self.finding.row_unit), row)
            for place, row in enumerate(self.finding.rows, 1)
        ]

    @property
    def left(self) -> int:
        """Rows that are not listed."""
        return max(0, self.finding.concerned - len(self.finding.rows))

    @property
    def measures(self) -> list[tuple[str, str, str]]:
        """Further numbers: name, value, interval."""
        return [
            (m.name, amount(m.number.estimate, m.unit, m.number.count), ends_of(m.number, m.unit))
            for m in self.finding.measures
        ]

    @property
    def charts(self) -> dict[str, Chart]:
        """Its charts by their identifiers in the page."""
        named = enumerate(self.finding.charts, 1)
        return {f"{self.identifier}-chart-{place}": chart for place, chart in named}


def view_findings(findings: Iterable[Finding], first: int = 0) -> list[FindingView]:
    """Return views of findings, in their order; the first has the number `first` in the page."""
    return [FindingView(finding, place) for place, finding in enumerate(findings, first)]


def ends_of(interval: Interval, unit: str) -> str:
    """Write the interval as `72 to 88 %`, `-4.0 to -2.2`; empty where there is none."""
    written = ends(interval, unit)
    return f"{written} %" if written and unit == "share" else written
