"""`accordant catalogue`: the published systems, what works and what is planned."""

from __future__ import annotations

from typing import Annotated

import typer

from accordant.catalogue.registry import get_system, list_systems, rooms, slugs
from accordant.catalogue.system import AXES, Axes, Part, System
from accordant.cli.output import console, examples, one_of, print_json, print_note, print_table

STATES = ("works", "planned")
FIELDS = {name.replace("_", "-"): name for name in AXES}
_ROOM_FOR_ROOMS = 110  # columns of a terminal that shows the rooms too


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "accordant catalogue",
            "accordant catalogue steer",
            "accordant catalogue --room objectives --state planned",
            "accordant catalogue --search 'reward model' --json",
            "accordant catalogue --by training-family",
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
    by: Annotated[
        str | None,
        typer.Option(
            help="Group the systems by a category of the surveys; what no system has is a gap.",
            metavar="|".join(FIELDS),
            autocompletion=lambda: list(FIELDS),
        ),
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
    if by is not None:
        _print_by(found, one_of(by, tuple(FIELDS), where="--by"), as_json=as_json)
    elif as_json:
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
    columns = ["id", "slug", "state", "method", "verdict", "room", "title"]
    if console().width < _ROOM_FOR_ROOMS:
        columns.remove("room")
    rows = [tuple(getattr(entry, column) or "" for column in columns) for entry in systems]
    print_table(columns, rows, title=title, wrap=("slug",))


def _print_by(systems: tuple[System, ...], field: str, *, as_json: bool) -> None:
    """Print the systems of every value of a category."""
    groups: dict[str, list[str]] = {value: [] for value in AXES[FIELDS[field]]}
    for entry in systems:
        if entry.axes is not None:
            groups[getattr(entry.axes, FIELDS[field])].append(entry.slug)
    if as_json:
        print_json(groups)
        return
    rows = [
        (value, str(len(slugs)), ", ".join(slugs) or "a gap: no system here")
        for value, slugs in groups.items()
    ]
    print_table((field, "systems", "which"), rows, title=f"{len(systems)} systems by {field}")


def _print_system(system: System) -> None:
    planned = "planned: nothing to run yet"
    rows = [
        ("title", system.title),
        ("id", f"{system.id} ({system.kind})"),
        ("state", system.state),
        ("room", system.room),
        ("what works" if system.state == "works" else "what will work", system.works),
        *([("method", _method(system))] if system.method else []),
        ("claim", system.claim or "none: a survey, whose categories are fields of every system"),
        *([("verdict", _verdict(system))] if system.verdict else []),
        *([("remark", system.not_shown)] if system.not_shown else []),
        ("paper", str(system.paper or "")),
        *([("categories", _categories(system.axes))] if system.axes else []),
        ("how to run", system.how_to_run or planned),
    ]
    print_table(("", ""), rows, title=system.slug)


def _method(system: System) -> str:
    return f"{system.method}: {system.lacks}" if system.lacks else str(system.method)


def _verdict(system: System) -> str:
    """Write what the last full run found, a line for each part of the claim."""
    result = system.result
    if result is None:
        return "not tested: no full run on seeds that nobody had looked at is stored"
    count, first, last = result.seeds
    run = f"{count} seeds, {first} to {last}; {result.date}, {result.commit}"
    return "\n".join(
        (
            f"{result.verdict} ({run})",
            *map(_part, result.parts),
            *(f"not tested: {part}" for part in result.untested),
        )
    )


def _part(part: Part) -> str:
    low, estimate, high = part.effect
    shown = f"{estimate:.3g} [{low:.3g}, {high:.3g}]"
    must = f", must stay above {part.threshold:g}" if part.threshold else ""
    control = "control: " if part.control else ""
    return f"{'yes' if part.holds else 'NO'}: {control}{part.statement}: {shown}{must}"


def _categories(axes: Axes) -> str:
    named = ((field, getattr(axes, name)) for field, name in FIELDS.items())
    return ", ".join(f"{field} {value}" for field, value in named if value != "none")
