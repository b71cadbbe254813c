"""Read the catalogue of systems and find records in it.

Knows two files of the wheel: `systems.toml`, to which a system is added as a table, and
`results.json`, which the studies write. Imports none of the code the systems are made of.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.resources import files
from typing import Any

from accordant.base.errors import UserError, nearest
from accordant.catalogue.system import AXES, Axes, Paper, Part, Result, State, System


def read_systems(text: str) -> tuple[System, ...]:
    """Read the records from TOML, one table per system, named by its id.

    Raises:
        ValueError: a field that no record has, one without which there is no record, or a value
            of another type; names the system.
    """
    return tuple(_record(id_, table) for id_, table in tomllib.loads(text).items())


def _record(id_: str, table: Mapping[str, Any]) -> System:
    values = dict(table)
    if isinstance(values.get("paper"), dict):
        values["paper"] = _make(Paper, f"{id_}, paper", values["paper"])
    if isinstance(values.get("axes"), dict):
        values["axes"] = _axes(f"{id_}, axes", values["axes"])
    system = _make(System, id_, {"id": id_, **values})
    if system.kind not in ("method", "taxonomy"):
        raise ValueError(f"{id_}: kind '{system.kind}' is neither method nor taxonomy")
    return system


def _axes(where: str, values: Mapping[str, Any]) -> Axes:
    axes: Axes = _make(Axes, where, values)
    for name, value in values.items():
        if value not in AXES[name]:
            raise ValueError(f"{where}: {name} '{value}' is none of {', '.join(AXES[name])}")
    return axes


def _make(record: type[Any], where: str, values: Mapping[str, Any]) -> Any:
    """Make a record whose fields are all text, but for year, paper and axes."""
    names = [field.name for field in fields(record) if field.name != "result"]
    for name, value in values.items():
        if name not in names:
            raise ValueError(f"{where}: there is no field '{name}'. {nearest(name, names)}")
        expected = {"year": int, "paper": Paper, "axes": Axes}.get(name, str)
        if not isinstance(value, expected):
            raise ValueError(f"{where}: {name} = {value!r} is not of type {expected.__name__}")
    try:
        return record(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def read_results(text: str) -> dict[str, Result]:
    """Read from JSON what studies found, by slug."""
    return {slug: _result(stored) for slug, stored in json.loads(text).items()}


def _result(stored: Mapping[str, Any]) -> Result:
    lists = {name: tuple(stored[name]) for name in ("untested", "seeds")}
    return Result(**{**stored, **lists, "parts": tuple(map(_part, stored["parts"]))})


def _part(stored: Mapping[str, Any]) -> Part:
    # JSON has no NaN: an interval that could not be made has null for its ends.
    low_to_high = (math.nan if number is None else number for number in stored["effect"])
    return Part(**{**stored, "effect": tuple(low_to_high)})


def _text_of(name: str) -> str:
    return (files("accordant.catalogue") / name).read_text(encoding="utf-8")


_RESULTS = read_results(_text_of("results.json"))
ALL = tuple(
    replace(system, result=_RESULTS.get(system.slug))
    for system in read_systems(_text_of("systems.toml"))
)
_BY_SLUG = {system.slug: system for system in ALL}
_BY_ID = {system.id.lower(): system for system in ALL}


def list_systems(
    *, room: str | None = None, state: State | None = None, search: str | None = None
) -> tuple[System, ...]:
    """Return systems of the catalogue in the order of their ids.

    Args:
        room: only those in this room or a part of it (`objectives` includes
            `objectives/losses/pairwise`).
        state: only those that work, or only those that are planned.
        search: only those in whose id, slug, title, text or paper every word occurs.

    Raises:
        UserError: there is no such room; names the nearest.
    """
    if room is not None and room not in rooms():
        raise UserError(f"there is no room '{room}'.", where="--room", mend=nearest(room, rooms()))
    words = (search or "").lower().split()
    return tuple(
        system
        for system in sorted(ALL, key=lambda system: system.id)
        if (room is None or any(f"{part}/".startswith(f"{room}/") for part in system.rooms))
        and (state is None or system.state == state)
        and all(word in _text(system) for word in words)
    )


def get_system(name: str) -> System:
    """Return the system with this slug or id.

    Raises:
        UserError: there is none; names the nearest slug.
    """
    system = _BY_SLUG.get(name.lower()) or _BY_ID.get(name.lower())
    if system is None:
        close = nearest(name, _BY_SLUG)
        mend = close if close.startswith("Did") else "`accordant catalogue` lists them all."
        raise UserError(f"there is no system '{name}' in the catalogue.", mend=mend)
    return system


def rooms() -> tuple[str, ...]:
    """Return every room some system lives in, with the rooms those are parts of."""
    parts = {part for system in ALL for part in system.rooms}
    return tuple(sorted(parts | {part.partition("/")[0] for part in parts}))


def slugs() -> list[str]:
    """Return all slugs, for completion."""
    return sorted(_BY_SLUG)


def _text(system: System) -> str:
    fields = (system.id, system.slug, system.title, system.room, system.works, system.claim)
    return " ".join((*fields, str(system.paper or ""))).lower()
