"""What the studies add to `accordant objectives`: logic and loss of one, two compared, the lattice.

Knows which command shows what. Imports no mathematics before a command is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accordant.base.errors import UserError
from accordant.cli.objective_text import objective_as_dict
from accordant.cli.objectives import AsJson, Name, ObjectiveFile, find_objective, objective_names
from accordant.cli.output import examples, print_json, print_note, say

if TYPE_CHECKING:
    from accordant.reports.report import Report

OptionValues = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="Option of the objective; repeatable: beta=0.2."
    ),
]
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


def register(app: typer.Typer) -> None:
    """Add the commands to the verb; `show` replaces the core's."""
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
    from accordant_studies.explore.objective_text import print_view

    view = look_at(find_objective(name, objective_file), _options(option), span)
    if html is not None:
        from accordant_studies.explore.objective_pages import objective_report

        _write_page(html, objective_report(view))
    if as_json or context.obj["as_json"]:
        print_json(objective_as_dict(view.objective) | view_as_dict(view))
    else:
        print_view(view)


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
    from accordant_studies.explore.objective_text import print_comparison

    views = []
    for name in (first, second):
        entry = find_objective(name, objective_file)
        mine = _options_of(option, name, (first, second))
        views.append(comparing.look_at(entry, mine, span))
    comparison = comparing.compare(*views)
    if html is not None:
        from accordant_studies.explore.objective_pages import comparison_report

        _write_page(html, comparison_report(comparison))
    if as_json or context.obj["as_json"]:
        described = [objective_as_dict(view.objective) for view in views]
        print_json({"objectives": described, **comparison.as_dict()})
    else:
        print_comparison(comparison)


def lattice(context: typer.Context, html: Html = None, as_json: AsJson = False) -> None:
    """Draw which losses ask for more than others: the lattice of their structures."""
    from accordant_studies.explore.logic.lattice import build_lattice, draw_text
    from accordant_studies.explore.logic.readings import FORMS, form

    drawn = build_lattice({name: form(ratio) for name, ratio in FORMS.items()})
    if html is not None:
        from accordant_studies.explore.objective_pages import lattice_report

        _write_page(html, lattice_report(drawn))
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


def _write_page(file: Path, report: Report) -> None:
    from accordant.reports.pages import render_html
    from accordant.reports.writing import write_files

    write_files(file.parent, {file.name: render_html(report)})
    print_note(f"Wrote {file}.")
