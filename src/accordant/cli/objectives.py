"""`accordant objectives`: the losses that `accordant align --method` can train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from accordant.base.errors import UserError
from accordant.cli.output import examples, one_of, print_json, print_note, print_table, say
from accordant.feedback.records import RECORD_TYPES
from accordant.objectives.registry import (
    get_objective,
    list_objectives,
    load_objective_file,
)
from accordant_studies.explore.objective_text import (
    as_dict,
    print_comparison,
    print_objective,
    reference,
)

OBJECTIVE_FILE_HELP = "Python file with objectives of your own; it is run like any script."

OptionValues = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="Option of the objective; repeatable: beta=0.2."
    ),
]
ObjectiveFile = Annotated[Path | None, typer.Option(help=OBJECTIVE_FILE_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page with the plot; it needs no network."),
]
Span = Annotated[
    float,
    typer.Option(
        "--span", min=0.1, max=60.0, help="Margins are shown from minus to plus this, nats."
    ),
]


def objective_names() -> list[str]:
    """All names, for completion."""
    return [entry.name for entry in list_objectives()]


Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The objective.", autocompletion=objective_names),
]


class _NameIsShow(TyperGroup):
    """`accordant objectives dpo` is `accordant objectives show dpo`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
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
            "accordant objectives compare dpo orpo",
            "accordant objectives --objective-file my_loss.py",
        ),
    )(objectives)
    app.command(
        epilog=examples(
            "accordant objectives show dpo",
            "accordant objectives show simpo --option gamma=0.5 --span 10",
            "accordant objectives show orpo --html orpo.html",
        )
    )(show)
    app.command(
        epilog=examples(
            "accordant objectives compare dpo ipo",
            "accordant objectives compare cpo orpo --html cpo-orpo.html",
            "accordant objectives compare dpo ipo --json",
        )
    )(compare)
    app.command(
        epilog=examples(
            "accordant objectives lattice", "accordant objectives lattice --html lattice.html"
        )
    )(lattice)


def objectives(
    context: typer.Context,
    feedback: Annotated[
        str | None,
        typer.Option(
            help="Only objectives that learn from this kind of feedback.",
            autocompletion=lambda: list(RECORD_TYPES),
        ),
    ] = None,
    objective_file: ObjectiveFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of objects.")] = False,
) -> None:
    """List the objectives that `align` can train on.

    Each with its formula, kind of feedback, need of a reference model, options and paper. With a
    command: look at one of them closely, compare two, or see which asks for more than which.
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
    found = list_objectives()
    if feedback is not None:
        kind = one_of(feedback, tuple(RECORD_TYPES), where="--feedback")
        found = tuple(entry for entry in found if kind in entry.feedback)
    if as_json:
        print_json([as_dict(entry) for entry in found])
    elif not found:
        print_note("No objective matches.")
    else:
        columns = ("name", "feedback", "reference", "formula")
        rows = [
            (entry.name, ", ".join(entry.feedback), reference(entry), entry.formula)
            for entry in found
        ]
        print_table(columns, rows)


def show(
    context: typer.Context,
    name: Name,
    option: OptionValues = None,
    span: Span = 30.0,
    html: Html = None,
    objective_file: ObjectiveFile = None,
    as_json: AsJson = False,
) -> None:
    """Show an objective's mathematics, its logic, and its loss along a line of margins."""
    from accordant_studies.explore.comparing import look_at, view_as_dict

    view = look_at(_get(name, objective_file), _options(option), span)
    if html is not None:
        from accordant_studies.explore.objective_pages import objective_page

        _write_page(html, objective_page(view))
    if as_json or context.obj["as_json"]:
        print_json(as_dict(view.objective) | view_as_dict(view))
    else:
        print_objective(view)


def compare(
    context: typer.Context,
    first: Annotated[
        str, typer.Argument(metavar="A", help="An objective.", autocompletion=objective_names)
    ],
    second: Annotated[
        str, typer.Argument(metavar="B", help="Another.", autocompletion=objective_names)
    ],
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="[A.]NAME=VALUE",
            help="Option of both, or of one as dpo.beta=0.2; repeatable.",
        ),
    ] = None,
    span: Span = 30.0,
    html: Html = None,
    objective_file: ObjectiveFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare two objectives: formulas, logic, and where losses and gradients differ."""
    from accordant_studies.explore import comparing

    views = []
    for name in (first, second):
        entry = _get(name, objective_file)
        mine = _options_of(option, name, (first, second))
        views.append(comparing.look_at(entry, mine, span))
    comparison = comparing.compare(*views)
    if html is not None:
        from accordant_studies.explore.objective_pages import comparison_page

        _write_page(html, comparison_page(comparison))
    if as_json or context.obj["as_json"]:
        described = [as_dict(view.objective) for view in views]
        print_json({"objectives": described, **comparison.as_dict()})
    else:
        print_comparison(comparison)


def lattice(context: typer.Context, html: Html = None, as_json: AsJson = False) -> None:
    """Draw which losses ask for more than others: the lattice of their structures."""
    from accordant_studies.explore.logic.lattice import build_lattice, draw_text
    from accordant_studies.explore.logic.readings import FORMS, form

    drawn = build_lattice({name: form(ratio) for name, ratio in FORMS.items()})
    if html is not None:
        from accordant_studies.explore.objective_pages import lattice_page

        _write_page(html, lattice_page(drawn))
    if as_json or context.obj["as_json"]:
        print_json(
            {
                "structures": [
                    {"names": list(names), "structure": str(meaning)}
                    for names, meaning in zip(drawn.classes, drawn.meanings, strict=True)
                ],
                "entails": [list(pair) for pair in drawn.covers],
            }
        )
    else:
        say(draw_text(drawn))


def _get(name: str, objective_file: Path | None) -> Any:
    if objective_file is not None:
        load_objective_file(objective_file)
    return get_objective(name)


def _options(given: list[str] | None) -> dict[str, str]:
    options = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"'{text}' is no NAME=VALUE.", where="--option", mend="Write beta=0.2.")
        options[name] = value
    return options


def _options_of(given: list[str] | None, name: str, both: tuple[str, str]) -> dict[str, str]:
    """The options meant for one of two objectives."""
    found = {}
    for key, value in _options(given).items():
        whose, dot, option = key.rpartition(".")
        if dot and whose not in both:
            raise UserError(
                f"'{key}' is an option of '{whose}'.",
                where="--option",
                mend=f"The two are {both[0]} and {both[1]}.",
            )
        if not dot or whose == name:
            found[option] = value
    return found


def _write_page(file: Path, text: str) -> None:
    from accordant.reports.pages import write_files

    write_files(file.parent, {file.name: text})
    print_note(f"Wrote {file}.")
