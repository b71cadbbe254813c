"""The generated parts of the docs: tables of options, systems and objectives, between markers.

Knows settings models, the catalogue and the registry. `python -m accordant.cli.reference PAGE...`
brings pages up to date; a test fails when they are not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from accordant.base.files import write_whole
from accordant.base.settings import options_table
from accordant.catalogue.registry import list_systems
from accordant.checks.registry import When, list_checks
from accordant.objectives.registry import list_objectives
from accordant.runs.settings import AlignConfig, ChatConfig, CheckConfig, EvalConfig

_PART = re.compile(r"(<!-- generated: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(page: str) -> str:
    """Return `page` with every generated part made anew.

    A part stands between `<!-- generated: NAME -->` and `<!-- end -->`.

    Raises:
        KeyError: a part with an unknown name.
    """
    return _PART.sub(lambda match: match[1] + PARTS[match[2]]().strip() + "\n" + match[3], page)


def _systems() -> str:
    lines = [
        "| id | slug | state | method | claim | room | title | paper |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for system in list_systems():
        name = (system.id, f"`{system.slug}`", system.state)
        truth = (system.method or "", system.verdict or "")
        lines.append(_row((*name, *truth, system.room, system.title, str(system.paper or ""))))
    return "\n".join(lines)


def _objectives() -> str:
    lines = ["| name | feedback | reference | formula |", "| --- | --- | --- | --- |"]
    for entry in list_objectives():
        reference = "yes" if entry.needs_reference else "no"
        cells = (f"`{entry.name}`", ", ".join(entry.feedback), reference, f"`{entry.formula}`")
        lines.append(_row(cells))
    return "\n".join(lines)


def _checks(when: When) -> str:
    """List the checks of one stage."""
    lines = ["| check | reads | records | what it looks at | from |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for one in list_checks(when):
        records = ", ".join(one.feedback) or "any"
        lines.append(_row((f"`{one.name}`", one.reads, records, one.summary, one.paper)))
    return "\n".join(lines)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


PARTS: dict[str, Callable[[], str]] = {
    "align options": lambda: options_table(AlignConfig),
    "check options": lambda: options_table(CheckConfig),
    "checks before training": lambda: _checks("before"),
    "checks during training": lambda: _checks("during"),
    "checks after training": lambda: _checks("after"),
    "eval options": lambda: options_table(EvalConfig),
    "chat options": lambda: options_table(ChatConfig),
    "systems": _systems,
    "objectives": _objectives,
}


def main(paths: list[str]) -> None:
    """Bring the pages at `paths` up to date."""
    for path in map(Path, paths):
        write_whole(path, fill(path.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
