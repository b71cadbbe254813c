"""`accordant objectives`: the losses that `accordant align --method` can train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from accordant.cli.output import examples, one_of, print_json, print_note, print_table
from accordant.data.records import RECORD_TYPES
from accordant.objectives.registry import (
    Objective,
    get_objective,
    list_objectives,
    load_objective_file,
)


def objective_names() -> list[str]:
    """All names, for completion."""
    return [entry.name for entry in list_objectives()]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "accordant objectives",
            "accordant objectives dpo",
            "accordant objectives --feedback binary --json",
            "accordant objectives --objective-file my_loss.py",
        ),
    )(objectives)


def objectives(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Show one objective in full, with its options.",
            autocompletion=objective_names,
            show_default=False,
        ),
    ] = None,
    feedback: Annotated[
        str | None,
        typer.Option(
            help="Only objectives that learn from this kind of feedback.",
            autocompletion=lambda: list(RECORD_TYPES),
        ),
    ] = None,
    objective_file: Annotated[
        Path | None,
        typer.Option(help="Python file with objectives of your own; it is run like any script."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of objects.")] = False,
) -> None:
    """List the objectives that `align` can train on.

    Each with its formula, kind of feedback, need of a reference model, options and paper.
    """
    if objective_file is not None:
        load_objective_file(objective_file)
    found = list_objectives() if name is None else (get_objective(name),)
    if feedback is not None:
        kind = one_of(feedback, tuple(RECORD_TYPES), where="--feedback")
        found = tuple(entry for entry in found if kind in entry.feedback)
    if as_json:
        print_json([_as_dict(entry) for entry in found])
    elif not found:
        print_note("No objective matches.")
    elif name is not None:
        _print_objective(found[0])
    else:
        columns = ("name", "feedback", "reference", "formula")
        rows = [
            (entry.name, ", ".join(entry.feedback), _reference(entry), entry.formula)
            for entry in found
        ]
        print_table(columns, rows)


def _reference(entry: Objective) -> str:
    return "yes" if entry.needs_reference else "no"


def _print_objective(entry: Objective) -> None:
    rows = [
        ("what", entry.summary),
        ("formula", entry.formula),
        ("feedback", ", ".join(entry.feedback)),
        ("needs a reference", _reference(entry)),
        ("paper", entry.paper),
    ]
    for option in entry.options:
        meaning = f"{option.help} {option.expects.capitalize()}; default {option.default}."
        rows.append((f"--option {option.name}", meaning))
    print_table(("", ""), rows, title=entry.name)


def _as_dict(entry: Objective) -> dict[str, Any]:
    return {
        "name": entry.name,
        "slug": entry.slug,
        "summary": entry.summary,
        "feedback": list(entry.feedback),
        "needs_reference": entry.needs_reference,
        "paper": entry.paper,
        "formula": entry.formula,
        "options": [
            {
                "name": option.name,
                "default": option.default,
                "expects": option.expects,
                "help": option.help,
            }
            for option in entry.options
        ],
    }
