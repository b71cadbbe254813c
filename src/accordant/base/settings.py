"""Settings: one pydantic model is a verb's command line, its YAML schema and its docs table.

Knows models of settings and how their fields are described to people: `Option`. The options of an
objective or a check are such a model too (`base.options`). Knows nothing of any particular verb, of
the command-line library, of files or of torch.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError, PydanticUndefined

Key = tuple[str, ...]
Kind = Literal["text", "switch", "path", "list", "mapping"]


class Settings(BaseModel):
    """Base of every verb's settings: frozen, no unknown keys, no NaN."""

    # Built when first used, so that help pays for no validator; and pydantic would keep names that
    # begin with `model_` for itself.
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True, protected_namespaces=()
    )

    @field_validator("*", mode="before")
    @classmethod
    def _read_plainly(cls, value: Any, info: ValidationInfo) -> Any:
        """Read `none` as no value where there may be none; keep truth values and numbers apart."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        types = alternatives(annotation)
        plain = all((a in _NAMES and a not in (str, Path)) or _is_literal(a) for a in types)
        if plain and str(value).lower() == "none" and type(None) in get_args(annotation):
            return None
        # Pydantic takes 1 for true and true for 1; where someone writes either, it is a slip.
        if isinstance(value, bool) and set(types) <= {int, float}:
            raise PydanticKnownError("int_type" if types == (int,) else "float_type")
        if isinstance(value, int | float) and not isinstance(value, bool) and types == (bool,):
            raise PydanticKnownError("bool_type")
        return value


OUTPUT = "Output"


def setting(
    default: Any = ...,
    description: str = "",
    *,
    panel: str = "",
    flag: str = "",
    default_text: str = "",
    **constraints: Any,
) -> Any:
    """Declare a field of a settings model.

    Args:
        default: value when nobody sets it; `...` makes the field required.
        description: one or two sentences; shown in `--help` and in the docs.
        panel: group of options it is shown in.
        flag: option name where it is not `--field-name`.
        default_text: what to show as default where the value alone says little (None).
        constraints: pydantic's own (`gt`, `ge`, `lt`, `le`, `min_length`, ...).
    """
    shown: dict[str, Any] = {"panel": panel, "flag": flag, "default_text": default_text}
    return Field(
        default,
        description=description,
        json_schema_extra={name: value for name, value in shown.items() if value},
        **constraints,
    )


class OutputSettings(Settings):
    """Settings of where a verb writes, and whether it does anything at all."""

    output_dir: Path = setting(
        Path("outputs"), "Folder for everything that is written.", panel=OUTPUT
    )
    overwrite: bool = setting(
        False, "Replace what an earlier run left in the output folder.", panel=OUTPUT
    )
    dry_run: bool = setting(
        False, "Check everything, print the plan and stop before loading weights.", panel=OUTPUT
    )


@dataclass(frozen=True, slots=True)
class Option:
    """One field as a user meets it."""

    name: str  # its name in YAML and in `--set`
    flag: str
    # how the option is written: a value, a switch, a path, repeated values, repeated `key=value`
    kind: Kind
    type_name: str  # what to write, in words
    choices: tuple[str, ...]
    bounds: Mapping[str, float]  # numbers it may take: `ge`, `gt`, `le` and `lt`, where given
    optional: bool  # whether it may be None
    required: bool
    default: Any
    default_text: str  # the default in words; empty where the help says it
    help: str
    panel: str

    @property
    def expects(self) -> str:
        """What a value must be, in words: `a number above 0`."""
        limits = [f"{word} {self.bounds[b]:g}" for b, word in _BOUNDS.items() if b in self.bounds]
        noun = f"a {self.type_name}" if "number" in self.type_name else self.type_name
        words = "one of " + ", ".join(self.choices) if self.choices else noun
        words = " ".join([words, " and ".join(limits)]).strip()
        return f"{words}, or none" if self.optional else words

    def entry(self) -> dict[str, Any]:
        """Return what a list of options says of it, as plain values."""
        return {name: getattr(self, name) for name in ("name", "default", "expects", "help")}


def options_of(model: type[BaseModel]) -> Iterator[Option]:
    """Yield every field of a settings model, in order."""
    return (describe_field(name, field) for name, field in model.model_fields.items())


def describe_field(name: str, field: FieldInfo) -> Option:
    """Describe one field of a settings model."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    required, annotation = field.is_required(), field.annotation
    return Option(
        name=name,
        flag=str(extra.get("flag") or "--" + name.replace("_", "-")),
        kind=_kind(annotation),
        type_name=_type_name(annotation),
        choices=_choices(annotation),
        bounds=dict(_bounds([field, *get_args(annotation)])),
        optional=type(None) in get_args(annotation),
        required=required,
        default=None if required else field.get_default(call_default_factory=True),
        default_text=_default_text(field, str(extra.get("default_text", ""))),
        help=field.description or "",
        panel=str(extra.get("panel", "")),
    )


def annotation_at(model: type[BaseModel], key: Key) -> Any:
    """Return the type of a field, or of the values of one that is a mapping; Any for no field."""
    field = model.model_fields.get(key[0])
    annotation: Any = Any if field is None else field.annotation
    for _ in key[1:]:
        mappings = [a for a in alternatives(annotation) if _is_mapping(a) and get_args(a)]
        annotation = get_args(mappings[0])[1] if mappings else Any
    return annotation


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union without None, else the annotation; `Annotated` stripped."""
    union = get_origin(annotation) in (Union, types.UnionType)
    members = get_args(annotation) if union else (annotation,)
    bare = (get_args(a)[0] if get_origin(a) is Annotated else a for a in members)
    return tuple(a for a in bare if a is not type(None))


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Mapping)


def is_list(annotation: Any) -> bool:
    """Tell whether a field of this type takes several values."""
    return (get_origin(annotation) or annotation) in (list, tuple, set, frozenset)


def _kind(annotation: Any) -> Kind:
    members = alternatives(annotation)
    if any(_is_mapping(a) for a in members):
        return "mapping"
    if any(is_list(a) for a in members):
        return "list"
    if members == (bool,):
        return "switch"
    return "path" if Path in members else "text"


def _choices(annotation: Any) -> tuple[str, ...]:
    members = [b for a in alternatives(annotation) for b in (get_args(a) if is_list(a) else [a])]
    return tuple(str(word) for a in members if _is_literal(a) for word in get_args(a))


def _is_literal(annotation: Any) -> bool:
    return get_origin(annotation) is Literal


def _bounds(notes: Iterable[Any]) -> Iterator[tuple[str, float]]:
    """Yield the bounds that fields and annotated types carry, at any depth."""
    for note in notes:
        yield from ((name, getattr(note, name)) for name in _BOUNDS if hasattr(note, name))
        yield from _bounds(getattr(note, "metadata", getattr(note, "__metadata__", ())))


_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}


def _type_name(annotation: Any) -> str:
    parts: list[str] = []
    for alternative in alternatives(annotation):
        if _is_literal(alternative):
            parts += [str(word) for word in get_args(alternative)]
        elif _is_mapping(alternative):
            parts.append("name=value")
        elif is_list(alternative):
            inner = get_args(alternative)
            parts.append((_type_name(inner[0]) if inner else "text") + ", repeatable")
        else:
            parts.append(_NAMES.get(alternative, getattr(alternative, "__name__", "value")))
    return " | ".join(dict.fromkeys(parts))


def _default_text(field: FieldInfo, shown: str) -> str:
    if shown or field.is_required():
        return shown
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or value in ((), [], {}):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
