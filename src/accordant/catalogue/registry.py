"""Finding systems in the catalogue.

Knows the records. Imports none of the code the systems are made of.
"""

from __future__ import annotations

from accordant.base.errors import UserError, nearest
from accordant.catalogue.system import State, System
from accordant.catalogue.systems import ALL

_BY_SLUG = {system.slug: system for system in ALL}
_BY_ID = {system.id.lower(): system for system in ALL}


def list_systems(
    *, room: str | None = None, state: State | None = None, search: str | None = None
) -> tuple[System, ...]:
    """Systems of the catalogue in the order of their ids.

    Args:
        room: only those in this room or a part of it (`objectives` includes
            `objectives/pairwise`).
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
    """The system with this slug or id.

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
    """Every room some system lives in, with the rooms those are parts of."""
    parts = {part for system in ALL for part in system.rooms}
    return tuple(sorted(parts | {part.partition("/")[0] for part in parts}))


def slugs() -> list[str]:
    """All slugs, for completion."""
    return sorted(_BY_SLUG)


def _text(system: System) -> str:
    fields = (system.id, system.slug, system.title, system.room, system.works, system.claim)
    return " ".join((*fields, str(system.paper or ""))).lower()
