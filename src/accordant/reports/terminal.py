"""Reports as people read them in a terminal: tables, what was found, and the verdict.

Knows reports and rich. Knows no verb. Texts of people are printed and never obeyed as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accordant.checks.findings import reaches
from accordant.reports.finding_views import FindingView, view_findings
from accordant.reports.report import Cell, Figures, Findings, Report, Table, columns

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {
    **{"ok": "green", "info": "cyan", "warning": "yellow", "serious": "bold red"},
    **{"good": "green", "bad": "red", "failed": "red"},
}
_SHOWN_ROWS = 3
_FIGURE_COLUMNS = columns("measure", "#value", "#95 % interval", "reading")


def print_report(report: Report, console: Console) -> None:
    """Print a report's figures and tables, what was found, its notices and the verdict."""
    from rich.text import Text

    console.print(Text(report.title, style="bold"))
    for part in report.parts:
        match part:
            case Figures():
                rows = tuple(
                    (Cell(f.label, mark=f.tone), f.value, f.interval, f.reading)
                    for f in part.figures
                )
                console.print(_table(Table("", _FIGURE_COLUMNS, rows)))
            case Table(in_terminal=True):
                console.print(_table(part))
            case Findings():
                for view in view_findings(part.findings):
                    if view.finding.raised and reaches(view.finding.severity, part.least):
                        _print_finding(view, console)
    for notice in report.notices:
        line = Text.assemble((notice.label, _STYLES.get(notice.label, "dim")), f": {notice.text}")
        console.print(line, soft_wrap=True)
    console.print(Text(report.verdict, style="bold"))


def _table(table: Table) -> Any:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = [place for place, column in enumerate(table.columns) if column.on != "page"]
    made = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, title=table.title or None)
    made.title_justify = "left"
    for place in shown:
        column = table.columns[place]
        words = [word for row in table.rows for word in _text(row[place]).split()]
        # The first column folds between words only, so that a run can be searched for.
        widest = min(40, max(map(len, words), default=3)) if place == shown[0] else None
        made.add_column(
            column.name,
            justify="right" if column.numeric else "left",
            overflow="fold",
            min_width=widest,
        )
    for row in table.rows:
        cells = [row[place] for place in shown]
        marks = [cell.mark for cell in cells if isinstance(cell, Cell) and cell.mark in _STYLES]
        lines = [
            "\n".join((_text(cell), *(cell.small if isinstance(cell, Cell) else ())))
            if table.columns[place].numeric
            else _text(cell)
            for place, cell in zip(shown, cells, strict=True)
        ]
        # A severity colours its own cell, any other mark the row.
        first = _STYLES[marks[0]] if marks else ""
        is_severity = bool(marks) and marks[0] in ("ok", "info", "warning", "serious")
        texts = [Text(line, style=first if i == 0 else "") for i, line in enumerate(lines)]
        made.add_row(*texts, style="" if is_severity else first)
    return made


def _text(cell: Cell | str) -> str:
    return cell.text if isinstance(cell, Cell) else cell


def _print_finding(view: FindingView, console: Console) -> None:
    from rich.text import Text

    finding = view.finding
    head = Text.assemble((finding.severity, _STYLES[finding.severity]), f" {finding.title}: ")
    console.print(head + Text(f"{finding.sentence} {finding.mend}".strip()), soft_wrap=True)
    for _, value, row in view.rows[:_SHOWN_ROWS]:
        place = f"{row.origin}: " if row.origin else ""
        also = f" (also {'; '.join(map(str, row.also[:2]))})" if row.also else ""
        line = Text(f"  {place}{value}{also}  ", style="dim") + Text(row.excerpt)
        console.print(line, no_wrap=True, overflow="ellipsis", soft_wrap=True)
    rest = view.left + max(0, len(view.rows) - _SHOWN_ROWS)
    if rest:
        console.print(Text(f"  and {rest:,} more", style="dim"))
