"""How the command line writes: tables and JSON to standard output, messages to standard error.

Knows rich, streams and reports, and the options that several verbs have. Knows no verb.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from accordant.base.errors import UserError, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from accordant.reports.report import Report

_WIDE = 160  # columns of a table that nobody looks at in a terminal


def json_option(what: str) -> Any:
    """Declare `--json` of a verb that can plan what it does."""
    words = f"Print the {what}, or the plan of a dry run, as one JSON object; all else goes to "
    return typer.Option("--json", help=f"{words}standard error.")


def list_option(what: str) -> Any:
    """Declare `--list` of a verb that has a registry."""
    return typer.Option("--list", help=f"List all {what} with their options, and stop.")


def examples(*commands: str) -> str:
    """Write the epilog of a verb's help: commands that can be pasted."""
    from rich.markup import escape

    lines = "\n".join(f"  [cyan]{escape(command)}[/cyan]" for command in commands)
    return f"[bold]Examples[/bold]\n\n{lines}"


def console(*, to_error: bool = False) -> Console:
    """Open what people read: standard output, or standard error beside data.

    A file or pipe has no width of its own: there a row of a table stays one line, for grep.
    """
    from rich.console import Console

    stream = sys.stderr if to_error else sys.stdout
    # A width that the user has set holds everywhere.
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDE
    return Console(highlight=False, stderr=to_error, width=width)


def say(message: str) -> None:
    """Print a line or paragraph to standard output, unwrapped."""
    console().print(message, markup=False, soft_wrap=True)


def print_error(message: str, *, label: str = "error:") -> None:
    """Print a message to standard error, unwrapped, so that it can be searched for."""
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble((label, "bold red"), " ", message)
    Console(stderr=True, soft_wrap=True, highlight=False).print(text)


def print_note(message: str) -> None:
    """Print a remark to standard error, so that it does not mix with data."""
    from rich.console import Console

    Console(stderr=True, soft_wrap=True, highlight=False).print(message, markup=False)


def print_json(value: Any) -> None:
    """Print JSON to standard output; NaN and infinity, which JSON lacks, become null."""
    # Imported when it is used: it brings numpy, which help must not wait for.
    from accordant.reports.writing import to_plain

    text = json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    # Not through rich, which would break lines at the width of the terminal.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def show_report(report: Report, page: Path, reader: Console, *, as_json: bool) -> None:
    """Print a report for people and where its page is, or the same as JSON."""
    from accordant.reports.terminal import print_report
    from accordant.reports.writing import json_values

    if as_json:
        print_json(json_values(report))
        return
    print_report(report, reader)
    reader.print(f"report: {page}", markup=False, highlight=False, soft_wrap=True)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    wrap: Sequence[str] = (),
) -> None:
    """Print a table to standard output; the last column and those named in `wrap` may wrap."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    if title:
        say(title)
    headed = any(columns)
    table = Table(box=box.SIMPLE_HEAD if headed else None, show_header=headed, pad_edge=False)
    for index, column in enumerate(columns):
        is_last = index == len(columns) - 1
        table.add_column(column, overflow="fold", no_wrap=not is_last and column not in wrap)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console().print(table)


def one_of(word: str, allowed: Sequence[str], *, where: str) -> str:
    """Return `word`, if it is allowed.

    Raises:
        UserError: it is not; names the nearest that is.
    """
    if word not in allowed:
        raise UserError(
            f"found '{word}', expected one of {', '.join(allowed)}.",
            where=where,
            mend=suggestion if (suggestion := nearest(word, allowed)).startswith("Did") else "",
        )
    return word
