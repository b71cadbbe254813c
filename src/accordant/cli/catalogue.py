"""`accordant catalogue`: the published systems, what works and what is planned."""

from __future__ import annotations

from typing import Annotated

import typer

from accordant.catalogue.registry import get_system, list_systems, rooms, slugs
from accordant.catalogue.system import System
from accordant.cli.output import console, examples, one_of, print_json, print_note, print_table

STATES = ("works", "planned")
_ROOM_FOR_ROOMS = 110  # columns of a terminal that shows the rooms too


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "accordant catalogue",
            "accordant catalogue steer",
            "accordant catalogue --room objectives --state planned",
            "accordant catalogue --search 'reward model' --json",
        ),
    )(catalogue)


def catalogue(
    system: Annotated[
        str | None,
        typer.Argument(
            metavar="SLUG",
            help="Show one system in full, by its slug or id.",
            autocompletion=slugs,
            show_default=False,
        ),
    ] = None,
    room: Annotated[
        str | None,
        typer.Option(
            help="Only systems of this room, such as objectives or decoding/guides.",
            autocompletion=lambda: list(rooms()),
        ),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            help="Only systems that work, or only those that are planned.",
            metavar="|".join(STATES),
            autocompletion=lambda: list(STATES),
        ),
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Only systems in whose text all these words occur.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of objects.")] = False,
) -> None:
    """List the published systems: what works and what is planned."""
    if state is not None:
        state = one_of(state, STATES, where="--state")
    found = list_systems(room=room, state=state, search=search)  # type: ignore[arg-type]
    if system is not None:
        wanted = get_system(system)
        found = tuple(entry for entry in found if entry is wanted)
    if as_json:
        print_json([entry.as_dict() for entry in found])
    elif not found:
        print_note("No system matches.")
    elif system is not None:
        _print_system(found[0])
    else:
        _print_systems(found)


def _print_systems(systems: tuple[System, ...]) -> None:
    working = sum(entry.state == "works" for entry in systems)
    count = f"{len(systems)} system{'s' if len(systems) != 1 else ''}"
    title = f"{count}: {working} working, {len(systems) - working} planned"
    columns = ["id", "slug", "state", "room", "title"]
    if console().width < _ROOM_FOR_ROOMS:
        columns.remove("room")
    rows = [tuple(getattr(entry, column) for column in columns) for entry in systems]
    print_table(columns, rows, title=title, wrap=("slug",))


def _print_system(system: System) -> None:
    planned = "planned: nothing to run yet"
    rows = [
        ("title", system.title),
        ("id", f"{system.id} ({system.kind})"),
        ("state", system.state),
        ("room", system.room),
        ("what works" if system.state == "works" else "what will work", system.works),
        ("claim", system.claim or "none: a taxonomy"),
        *([("not shown", system.not_shown)] if system.not_shown else []),
        ("paper", str(system.paper or "")),
        ("how to run", system.how_to_run or planned),
    ]
    print_table(("", ""), rows, title=system.slug)
