"""Turns pydantic's account of wrong settings into one error a person can act on.

Knows validation errors and where each value came from. Knows nothing of files or command lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from accordant.base.errors import UserError, nearest
from accordant.base.settings import Key, section_of

_EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "string_too_short": "text of at least {min_length} characters",
    "too_short": "at least {min_length} values",
    "too_long": "at most {max_length} values",
    "literal_error": "{expected}",
}


def explain(
    error: ValidationError, model: type[BaseModel], origins: Mapping[Key, str]
) -> UserError:
    """Make one `UserError` of all mistakes: a single line for one, a small table for several."""
    by_place: dict[Key, list[Any]] = {}
    for detail in error.errors():
        by_place.setdefault(_known_part(model, detail["loc"]), []).append(detail)
    mistakes = [_mistake(model, place, details, origins) for place, details in by_place.items()]
    if len(mistakes) == 1:
        return mistakes[0]
    lines = "\n".join(f"  {mistake}" for mistake in mistakes)
    return UserError(f"{len(mistakes)} settings are wrong:\n{lines}")


def _known_part(model: type[BaseModel], loc: tuple[int | str, ...]) -> Key:
    """Return the location without the names of union members that pydantic appends to it."""
    key: list[str] = []
    section: type[BaseModel] | None = model
    for part in loc:
        if section is not None and part not in section.model_fields:
            key.append(str(part))
            break
        if section is None:
            break
        key.append(str(part))
        section = section_of(section.model_fields[str(part)].annotation)
    return tuple(key)


def _mistake(
    model: type[BaseModel], place: Key, details: list[Any], origins: Mapping[Key, str]
) -> UserError:
    first = details[0]
    where = _origin(place, first["loc"], origins)
    if first["type"] == "extra_forbidden":
        known = _siblings(model, place)
        return UserError(
            f"there is no setting '{'.'.join(place)}'.", where=where, mend=nearest(place[-1], known)
        )
    if first["type"] == "missing":
        return UserError(f"the setting '{'.'.join(place)}' is required and was not given.")
    if first["type"] in ("value_error", "assertion_error"):
        return UserError(str(first["ctx"]["error"]), where=where)
    expected = " or ".join(dict.fromkeys(_expected(detail) for detail in details))
    found = first["input"]
    mend = ""
    if first["type"] == "literal_error" and isinstance(found, str):
        words = [
            word.strip(" '") for word in first["ctx"]["expected"].replace(" or ", ",").split(",")
        ]
        suggestion = nearest(found, words)
        mend = suggestion if suggestion.startswith("Did") else ""
    return UserError(f"found {_shown(found)}, expected {expected}.", where=where, mend=mend)


def _origin(place: Key, loc: tuple[int | str, ...], origins: Mapping[Key, str]) -> str:
    """Say where the value came from; the nearest known parent when its place was not given."""
    for key in (tuple(str(part) for part in loc), place):
        for length in range(len(key), 0, -1):
            if key[:length] in origins:
                return origins[key[:length]]
        for known, origin in origins.items():
            if known[: len(key)] == key:
                return origin
    return f"setting '{'.'.join(place)}'" if place else ""


def _siblings(model: type[BaseModel], place: Key) -> list[str]:
    section: type[BaseModel] | None = model
    for name in place[:-1]:
        section = None if section is None else section_of(section.model_fields[name].annotation)
    return [] if section is None else list(section.model_fields)


def _expected(detail: Any) -> str:
    template = _EXPECTED.get(detail["type"])
    if template is None:
        message = str(detail["msg"])
        return message[:1].lower() + message[1:]
    numbers = {
        name: f"{value:g}" if isinstance(value, float) else value
        for name, value in detail.get("ctx", {}).items()
    }
    return template.format(**numbers)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
