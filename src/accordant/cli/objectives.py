"""List and show the losses that `accordant align --method` can train on: `accordant objectives`.

Knows the registry. What an objective means as logic, its curve, and comparisons are commands that
the studies add.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from accordant.base.errors import UserError
from accordant.cli.objective_text import objective_as_dict, print_objective, reference
from accordant.cli.output import examples, one_of, print_json, print_note, print_table
from accordant.feedback.kinds import KINDS
from accordant.objectives.registry import (
    Objective,
    get_objective,
    list_objectives,
    load_objective_file,
)

OBJECTIVE_FILE_HELP = "Python file with objectives of your own; it is run like any script."

ObjectiveFile = Annotated[Path | None, typer.Option(help=OBJECTIVE_FILE_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def objective_names() -> list[str]:
    """Return all names, for completion."""
    return [entry.name for entry in list_objectives()]


Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The objective.", autocompletion=objective_names),
]


class _NameIsShow(TyperGroup):
    """`accordant objectives dpo` is `accordant objectives show dpo`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # What is neither a command nor an option can only be a name.
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.callback(
        cls=_NameIsShow,
        invoke_without_command=True,
        epilog=examples(
            "accordant objectives",
            "accordant objectives --feedback binary --json",
            "accordant objectives show dpo",
            "accordant objectives --objective-file my_loss.py",
        ),
    )(objectives)
    app.command(
        epilog=examples("accordant objectives show dpo", "accordant objectives show dpo --json")
    )(show)


def objectives(
    context: typer.Context,
    feedback: Annotated[
        str | None,
        typer.Option(
            help="Only objectives that learn from this kind of feedback.",
            autocompletion=lambda: list(KINDS),
        ),
    ] = None,
    objective_file: ObjectiveFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of objects.")] = False,
) -> None:
    """List the objectives that `align` can train on.

    Each with its kind of feedback and need of a reference model; `show NAME` and --json also give
    formula, options and paper. With a command: look at one of them closely, compare two, or see
    which asks for more than which.
    """
    if objective_file is not None:
        load_objective_file(objective_file)
    context.obj = {"as_json": as_json}
    if context.invoked_subcommand is not None:
        if feedback is not None:
            raise UserError(
                "it chooses what is listed, and here nothing is listed.",
                where="--feedback",
                mend=f"Leave it out, or leave out '{context.invoked_subcommand}'.",
            )
        return
    shown = list_objectives()
    if feedback is not None:
        kind = one_of(feedback, tuple(KINDS), where="--feedback")
        shown = tuple(entry for entry in shown if kind in entry.feedback)
    if as_json:
        print_json([objective_as_dict(entry) for entry in shown])
    elif not shown:
        print_note("No objective matches.")
    else:
        columns = ("name", "feedback", "reference")
        rows = [(entry.name, ", ".join(entry.feedback), reference(entry)) for entry in shown]
        print_table(columns, rows)
        print_note("`accordant objectives show NAME` shows one with its formula and options.")


def show(
    context: typer.Context,
    name: Name,
    objective_file: ObjectiveFile = None,
    as_json: AsJson = False,
) -> None:
    """Show an objective's mathematics, feedback and options."""
    entry = find_objective(name, objective_file)
    if as_json or context.obj["as_json"]:
        print_json(objective_as_dict(entry))
    else:
        print_objective(entry)


def find_objective(name: str, objective_file: Path | None) -> Objective:
    """Return the objective of this name, with those of a user's file beside the registered ones."""
    if objective_file is not None:
        load_objective_file(objective_file)
    return get_objective(name)
