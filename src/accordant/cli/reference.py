"""The generated parts of the docs: tables of options, systems and objectives, between markers.

Knows settings models, the catalogue and the registry. `python -m accordant.cli.reference PAGE...`
brings pages up to date; a test fails when they are not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel

from accordant.base.files import write_whole
from accordant.base.settings import Option, options_of
from accordant.catalogue.registry import list_systems
from accordant.checks.registry import When, list_checks
from accordant.cli.objective_text import reference
from accordant.objectives.registry import list_objectives
from accordant.runs.reward_settings import (
    RewardEvaluateConfig,
    RewardScoreConfig,
    RewardTrainConfig,
)
from accordant.runs.settings import AlignConfig, ChatConfig, CheckConfig, EvalConfig, ScoreConfig

_PART = re.compile(r"(<!-- generated: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(page: str) -> str:
    """Return `page` with every generated part made anew.

    A part stands between `<!-- generated: NAME -->` and `<!-- end -->`.

    Raises:
        KeyError: a part with an unknown name.
    """
    return _PART.sub(lambda match: match[1] + PARTS[match[2]]().strip() + "\n" + match[3], page)


def options_table(model: type[BaseModel]) -> str:
    """Return a settings model's options, one table per panel."""
    panels: dict[str, list[Option]] = {}
    for option in options_of(model):
        panels.setdefault(option.panel, []).append(option)
    tables = []
    for panel, options in panels.items():
        rows = [
            (
                f"`{option.flag}`",
                "switch" if option.kind == "switch" else option.type_name,
                "required" if option.required else option.default_text,
                option.help,
            )
            for option in options
        ]
        heading = f"**{panel}**\n\n" if panel else ""
        tables.append(heading + _table(("option", "value", "default", "meaning"), rows))
    return "\n\n".join(tables) + "\n"


def _systems() -> str:
    rows = [
        (
            *(s.id, f"`{s.slug}`", s.state, s.method or "", s.verdict or ""),
            *(s.room, s.title, str(s.paper or "")),
        )
        for s in list_systems()
    ]
    headings = ("id", "slug", "state", "method", "claim", "room", "title", "paper")
    return _table(headings, rows)


def _objectives() -> str:
    rows = [
        (f"`{entry.name}`", ", ".join(entry.feedback), reference(entry), f"`{entry.formula}`")
        for entry in list_objectives()
    ]
    return _table(("name", "feedback", "reference", "formula"), rows)


def _checks(when: When) -> str:
    """List the checks of one stage."""
    rows = [
        (f"`{c.name}`", c.reads, ", ".join(c.feedback) or "any", c.summary, c.paper)
        for c in list_checks(when)
    ]
    return _table(("check", "reads", "records", "what it looks at", "from"), rows)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines
    )


PARTS: dict[str, Callable[[], str]] = {
    "align options": lambda: options_table(AlignConfig),
    "check options": lambda: options_table(CheckConfig),
    "checks before training": lambda: _checks("before"),
    "checks during training": lambda: _checks("during"),
    "checks after training": lambda: _checks("after"),
    "eval options": lambda: options_table(EvalConfig),
    "score options": lambda: options_table(ScoreConfig),
    "chat options": lambda: options_table(ChatConfig),
    "reward train options": lambda: options_table(RewardTrainConfig),
    "reward score options": lambda: options_table(RewardScoreConfig),
    "reward evaluate options": lambda: options_table(RewardEvaluateConfig),
    "systems": _systems,
    "objectives": _objectives,
}


def main(paths: list[str]) -> None:
    """Bring the pages at `paths` up to date."""
    for path in map(Path, paths):
        write_whole(path, fill(path.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
