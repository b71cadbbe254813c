"""What a check says in a terminal: a table of findings, then what to do about those raised.

Knows the report of a check and rich. Knows nothing of pages or files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accordant.reports.check_report import CheckReport, verdict
from accordant.reports.finding_views import FindingView, view_findings

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"ok": "green", "info": "cyan", "warning": "yellow", "serious": "bold red"}
_SHOWN_ROWS = 3


def print_check(report: CheckReport, console: Console) -> None:
    """Print the table of findings, the raised ones with their first rows, and the verdict."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    views = view_findings(report.findings)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("severity", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("number")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    for view in views:
        finding = view.finding
        severity = Text(finding.severity, style=_STYLES[finding.severity])
        cells = (finding.check, finding.quantity, view.value, view.ends)
        table.add_row(severity, *map(Text, cells))
    console.print(table)
    for view in views:
        if view.finding.raised:
            _print_raised(view, console)
    for one in report.not_run:
        console.print(Text(f"not run: {one.check} ({one.reason})", style="dim"))
    console.print(Text(verdict(report), style="bold"))


def _print_raised(view: FindingView, console: Console) -> None:
    from rich.text import Text

    finding = view.finding
    head = Text.assemble((finding.severity, _STYLES[finding.severity]), f" {finding.title}: ")
    console.print(head + Text(f"{finding.sentence} {finding.mend}".strip()), soft_wrap=True)
    for item in view.rows[:_SHOWN_ROWS]:
        place = f"{item.row.origin}: " if item.row.origin else ""
        also = f" (also {'; '.join(map(str, item.row.also[:2]))})" if item.row.also else ""
        line = Text(f"  {place}{item.value}{also}  ", style="dim") + Text(item.row.excerpt)
        console.print(line, no_wrap=True, overflow="ellipsis", soft_wrap=True)
    rest = view.left + max(0, len(view.rows) - _SHOWN_ROWS)
    if rest:
        console.print(Text(f"  and {rest:,} more", style="dim"))
