"""Turns pydantic's account of wrong settings into one error a person can act on.

Knows validation errors and where each value came from. Knows nothing of files or command lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from accordant.base.errors import UserError, did_you_mean, nearest
from accordant.base.settings import Key

_EXPECTED = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type"), "a mapping of names to values"),
    "finite_number": "a finite number",
    "string_type": "text",
    "path_type": "a path",
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
    by_field: dict[str, list[Any]] = {}
    for detail in error.errors():
        # Pydantic reports every member of a union; to a person they are one mistake.
        by_field.setdefault(str(detail["loc"][0]) if detail["loc"] else "", []).append(detail)
    mistakes = [_mistake(model, name, details, origins) for name, details in by_field.items()]
    if len(mistakes) == 1:
        return mistakes[0]
    lines = "\n".join(f"  {mistake}" for mistake in mistakes)
    return UserError(f"{len(mistakes)} settings are wrong:\n{lines}")


def _mistake(
    model: type[BaseModel], name: str, details: list[Any], origins: Mapping[Key, str]
) -> UserError:
    first = details[0]
    where, kind = _origin(name, first["loc"], origins), first["type"]
    if kind == "extra_forbidden":
        mend = nearest(name, model.model_fields)
        return UserError(f"there is no setting '{name}'.", where=where, mend=mend)
    if kind == "missing":
        return UserError(f"the setting '{name}' is required and was not given.")
    if kind in ("value_error", "assertion_error"):
        return UserError(str(first["ctx"]["error"]), where=where)
    expected = " or ".join(dict.fromkeys(_expected(detail) for detail in details))
    found = first["input"]
    mend = ""
    if kind == "literal_error" and isinstance(found, str):
        words = first["ctx"]["expected"].replace(" or ", ",").split(",")
        mend = did_you_mean(found, [word.strip(" '") for word in words])
    text = repr(found)
    text = text if len(text) <= 60 else text[:57] + "..."
    return UserError(f"found {text}, expected {expected}.", where=where, mend=mend)


def _origin(name: str, loc: tuple[int | str, ...], origins: Mapping[Key, str]) -> str:
    """Say where the value came from; the nearest known parent when its place was not given."""
    key = tuple(map(str, loc))
    for length in range(len(key), 0, -1):
        if key[:length] in origins:
            return origins[key[:length]]
    # A mapping whose entries were given one by one has no place of its own: the first speaks.
    inner = (origin for known, origin in origins.items() if known[:1] == (name,))
    return next(inner, f"setting '{name}'" if name else "")


def _expected(detail: Any) -> str:
    template = _EXPECTED.get(detail["type"])
    if template is None:
        message = str(detail["msg"])
        return message[:1].lower() + message[1:]
    limits = {
        name: f"{value:g}" if isinstance(value, float) else value
        for name, value in detail.get("ctx", {}).items()
    }
    return template.format(**limits)
