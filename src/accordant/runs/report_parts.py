"""What the reports of all verbs have in common: settings, the command, an interval in a table.

Knows the parts of a report. Knows no verb.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from accordant.reports.report import Part, Prose
from accordant.statistics.interval import Interval
from accordant.statistics.wording import amount, ends

ENDS = "#95 % interval"
_CONTENTS = ("charts", "rows", "findings", "figures", "pairs", "paragraphs")


def shown(*parts: Part) -> tuple[Part, ...]:
    """Return the parts that hold something: a heading over nothing tells nobody anything."""
    return tuple(part for part in parts if any(getattr(part, name, ()) for name in _CONTENTS))


def known(**facts: str | None) -> tuple[tuple[str, str], ...]:
    """Return facts by name (spaces are written as underscores), without what is not known."""
    return tuple((name.replace("_", " "), value) for name, value in facts.items() if value)


def command_part(command: str) -> Prose:
    """Show the command line; nothing where there was none."""
    return Prose("Command", (command,) if command else (), code=True)


def number_cells(number: Interval, *, share: bool = False) -> tuple[str, str]:
    """Return an estimate and its interval as cells."""
    unit = "share" if share else "number"
    return amount(number.estimate, unit, number.count), ends(number, unit)


def flatten(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return nested options as (dotted name, value) rows."""

    def rows(value: Any, name: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                yield from rows(inner, f"{name}.{key}" if name else str(key))
        elif name:  # an empty mapping at the top has no name and no row
            yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return tuple(rows(values, ""))
