"""Settings: one pydantic model per verb is its command line, its YAML schema and its docs table.

Knows models of settings, YAML files and `key=value` text. Knows nothing of any particular verb, of
the command-line library or of torch. Explicit options beat the YAML file, which beats the defaults;
a key nobody knows is an error that names its nearest neighbour.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from accordant.base.errors import UserError

Key = tuple[str, ...]
Kind = Literal["text", "switch", "path", "list", "mapping", "section"]


class Settings(BaseModel):
    """Base of every verb's settings: frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


M = TypeVar("M", bound=BaseModel)
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
    """A field of a settings model.

    Args:
        default: value when nobody sets it; `...` makes the field required.
        description: one or two sentences; shown in `--help` and in the docs.
        panel: group of options it is shown in.
        flag: option name where it is not `--field-name`.
        default_text: what to show as default where the value alone says little (None).
        constraints: pydantic's own (`gt`, `ge`, `lt`, `le`, `min_length`, ...).
    """
    shown: dict[str, Any] = {
        "panel": panel,
        "flag": flag,
        "default_text": default_text,
    }
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
    """One field as a user meets it.

    Args:
        key: dotted name in YAML and in `--set`.
        flag: option on the command line; empty for fields of nested models (`--set` reaches them).
        kind: how the option is written: a value, a switch, a path, repeated values, repeated
            `key=value`.
        type_name: what to write, in words.
        choices: the allowed words where there are such.
        default: the default, in words; empty where the description says it.
        required: whether there is no default.
        description: the field's description.
        panel: group it is shown in.
    """

    key: str
    flag: str
    kind: Kind
    type_name: str
    choices: tuple[str, ...]
    default: str
    required: bool
    description: str
    panel: str


def options_of(model: type[BaseModel], prefix: Key = ()) -> Iterator[Option]:
    """Every field of a settings model, nested ones after their section's own name, in order."""
    for name, field in model.model_fields.items():
        section = section_of(field.annotation)
        if section is not None:
            yield from options_of(section, (*prefix, name))
            continue
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        flag = str(extra.get("flag") or "--" + name.replace("_", "-"))
        yield Option(
            key=".".join((*prefix, name)),
            flag="" if prefix else flag,
            kind=_kind(field.annotation),
            type_name=_type_name(field.annotation),
            choices=_choices(field.annotation),
            default=_default_text(field, str(extra.get("default_text", ""))),
            required=field.is_required(),
            description=field.description or "",
            panel=str(extra.get("panel", "")),
        )


def load_settings(
    model: type[M],
    *,
    config_file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
) -> M:
    """Settings from a YAML file, `--set key=value` assignments and explicit options.

    Args:
        model: the settings model.
        config_file: YAML file, or None.
        options: explicitly given command-line values by field name, as text or as given.
        assignments: `dotted.key=value` texts; the value is read as YAML.

    Raises:
        UserError: unreadable file, unknown key, wrong type, a key given twice, a missing value;
            names the file and line or the option, what was found and what was expected.
    """
    given = _Given(model)
    if config_file is not None:
        from accordant.base.yaml_files import read_yaml

        file = read_yaml(config_file)
        for key, value in _leaves(file.values):
            where = f"{config_file}, line {file.lines.get(key, 1)}, key"
            given.put(key, _as_list(model, key, value), where, level=0)
    for text in assignments:
        given.put(*_assignment(model, text), "--set", level=1)
    flags = {option.key: option for option in options_of(model)}
    for name, value in (options or {}).items():
        option = flags[name]
        for key, item in _explicit(model, option, value):
            given.put(key, item, option.flag, level=1)
    try:
        return model.model_validate(given.values)
    except ValidationError as error:
        from accordant.base.setting_errors import explain

        raise explain(error, model, given.origins) from None


def change_settings(settings: M, changes: Mapping[str, Any], where: Mapping[str, str]) -> M:
    """Settings with some of their fields changed, checked as any others.

    Args:
        settings: complete settings.
        changes: new values by field name.
        where: place that errors name, by field name.

    Raises:
        UserError: an unknown field or a wrong value.
    """
    model = type(settings)
    values = {name: _as_list(model, (name,), value) for name, value in changes.items()}
    try:
        return model.model_validate(settings.model_dump() | values)
    except ValidationError as error:
        from accordant.base.setting_errors import explain

        raise explain(error, model, {(name,): place for name, place in where.items()}) from None


class _Given:
    """Values gathered so far, with where each came from; a later level replaces an earlier one."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model
        self.values: dict[str, Any] = {}
        self.origins: dict[Key, str] = {}
        self._levels: dict[Key, int] = {}

    def put(self, key: Key, value: Any, where: str, *, level: int) -> None:
        dotted = ".".join(key)
        origin = where if where.startswith("--") and where != "--set" else f"{where} {dotted}"
        if self._levels.get(key) == level:
            raise UserError(
                f"'{dotted}' is set twice, here and by {self.origins[key]}.",
                where=origin,
                mend="Keep one of them.",
            )
        self._levels[key] = level
        self.origins[key] = origin
        place = self.values
        for name in key[:-1]:
            inner = place.get(name)
            if inner is None:
                inner = place[name] = {}
            if not isinstance(inner, dict):
                raise UserError(f"'{name}' is {inner!r} elsewhere and has no parts.", where=origin)
            place = inner
        place[key[-1]] = value


def _leaves(values: Mapping[str, Any], prefix: Key = ()) -> Iterator[tuple[Key, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*prefix, name))
        else:
            yield (*prefix, name), value


def _explicit(model: type[BaseModel], option: Option, value: Any) -> Iterator[tuple[Key, Any]]:
    """An option's value; mappings entry by entry, so that they add to what the file says."""
    key = (option.key,)
    if option.kind != "mapping" or isinstance(value, Mapping):
        yield key, value
        return
    for text in value:
        name, separator, item = str(text).partition("=")
        if not separator or not name.strip():
            raise UserError(f"found '{text}', expected name=value.", where=option.flag)
        yield (*key, name.strip()), _read(model, (*key, name.strip()), item)


def _assignment(model: type[BaseModel], text: str) -> tuple[Key, Any]:
    name, separator, value = text.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    if not separator or not all(key):
        raise UserError(
            f"found '{text}', expected key=value.", where="--set", mend="Example: --set seed=1"
        )
    return key, _read(model, key, value)


def _read(model: type[BaseModel], key: Key, text: str) -> Any:
    """Text as YAML, except where the field itself is text: `--set note=12` sets the note '12'."""
    annotation = _annotation_at(model, key)
    if set(_alternatives(annotation)) <= {str, Path}:
        return text
    from accordant.base.yaml_files import parse_value

    return _as_list(model, key, parse_value(text))


def _as_list(model: type[BaseModel], key: Key, value: Any) -> Any:
    """A lone value where a list is expected is a list of one: `data: pairs.jsonl`."""
    alternatives = _alternatives(_annotation_at(model, key))
    lone = isinstance(value, str | int | float)
    return [value] if lone and all(_is_list(a) for a in alternatives) else value


def _annotation_at(model: type[BaseModel], key: Key) -> Any:
    annotation: Any = model
    for name in key:
        section = section_of(annotation)
        if section is not None:
            field = section.model_fields.get(name)
            annotation = Any if field is None else field.annotation
        else:
            mapping = [a for a in _alternatives(annotation) if _is_mapping(a)]
            annotation = get_args(mapping[0])[1] if mapping and get_args(mapping[0]) else Any
    return annotation


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union without None; the annotation itself where it is no union."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(a for a in get_args(annotation) if a is not type(None))
    return (annotation,)


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The settings model nested at an annotation, or None."""
    for alternative in _alternatives(annotation):
        if isinstance(alternative, type) and issubclass(alternative, BaseModel):
            return alternative
    return None


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _is_list(annotation: Any) -> bool:
    return (get_origin(annotation) or annotation) in (list, tuple, set, frozenset)


def _kind(annotation: Any) -> Kind:
    alternatives = _alternatives(annotation)
    if any(_is_mapping(a) for a in alternatives):
        return "mapping"
    if any(_is_list(a) for a in alternatives):
        return "list"
    if alternatives == (bool,):
        return "switch"
    return "path" if Path in alternatives else "text"


def _choices(annotation: Any) -> tuple[str, ...]:
    alternatives = [
        b for a in _alternatives(annotation) for b in (get_args(a) if _is_list(a) else [a])
    ]
    words = [a for a in alternatives if get_origin(a) is Literal]
    return tuple(str(word) for a in words for word in get_args(a))


_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}


def _type_name(annotation: Any) -> str:
    parts: list[str] = []
    for alternative in _alternatives(annotation):
        if get_origin(alternative) is Literal:
            parts += [str(word) for word in get_args(alternative)]
        elif _is_mapping(alternative):
            parts.append("name=value")
        elif _is_list(alternative):
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


def options_table(model: type[BaseModel]) -> str:
    """The model's options as Markdown, one table per panel, for the docs."""
    panels: dict[str, list[Option]] = {}
    for option in options_of(model):
        panels.setdefault(option.panel, []).append(option)
    parts = []
    for panel, options in panels.items():
        heading = f"**{panel}**\n\n" if panel else ""
        rows = "\n".join(_table_row(option) for option in options)
        head = "| option | value | default | meaning |\n| --- | --- | --- | --- |\n"
        parts.append(heading + head + rows)
    return "\n\n".join(parts) + "\n"


def _table_row(option: Option) -> str:
    default = "required" if option.required else option.default
    flag = option.flag or f"--set {option.key}="
    value = "switch" if option.kind == "switch" else option.type_name
    cells = (f"`{flag}`", value, default, option.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def settings_to_yaml(settings: BaseModel) -> str:
    """YAML that `load_settings` reads back to equal settings."""
    from accordant.base.yaml_files import to_yaml

    return to_yaml(settings.model_dump(mode="json"))
