"""Values given for settings: a YAML file, `key=value` text, explicit options, and back to YAML.

Knows YAML files and where each value came from. Knows nothing of any particular verb, of the
command-line library or of torch. Explicit options beat the YAML file, which beats the defaults; a
key nobody knows is an error that names its nearest neighbour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from accordant.base.errors import UserError
from accordant.base.setting_errors import explain
from accordant.base.settings import Key, Option, alternatives, annotation_at, is_list, options_of
from accordant.base.yaml_files import parse_value, read_yaml, to_yaml

M = TypeVar("M", bound=BaseModel)


def load_settings(
    model: type[M],
    *,
    config_file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
) -> M:
    """Read settings from a YAML file, `--set key=value` assignments and explicit options.

    Args:
        model: the settings model.
        config_file: YAML file, or None.
        options: explicitly given command-line values by field name, as text or as given.
        assignments: `dotted.key=value` texts; the value is read as YAML.

    Raises:
        UserError: unreadable file, unknown key, wrong type, a key given twice, a missing value;
            names the file and line or the option, what was found and what was expected.
    """
    flags = {option.name: option for option in options_of(model)}
    given: list[tuple[int, str, Key, Any]] = []
    if config_file is not None:
        file = read_yaml(config_file)
        for key, value in _leaves(file.values):
            where = f"{config_file}, line {file.lines.get(key, 1)}, key {'.'.join(key)}"
            given.append((0, where, key, _as_list(model, key, value)))
    # Options and `--set` are one level: giving both is a slip and no override.
    for text in assignments:
        key, value = _assignment(model, text)
        given.append((1, f"--set {'.'.join(key)}", key, value))
    for name, value in (options or {}).items():
        entries = _explicit(model, flags[name], value)
        given += [(1, flags[name].flag, key, entry) for key, entry in entries]
    values, origins = _gather(given)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise explain(error, model, origins) from None


def change_settings(settings: M, changes: Mapping[str, Any], where: Mapping[str, str]) -> M:
    """Return settings with some of their fields changed, checked as any others.

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
        raise explain(error, model, {(name,): place for name, place in where.items()}) from None


def _gather(
    given: Iterable[tuple[int, str, Key, Any]],
) -> tuple[dict[str, Any], dict[Key, str]]:
    """Put values where their keys say, later levels over earlier ones.

    Args:
        given: level, place that errors name, key and value.

    Returns:
        the values, and where each came from.
    """
    values: dict[str, Any] = {}
    origins: dict[Key, str] = {}
    levels: dict[Key, int] = {}
    for level, origin, key, value in given:
        if levels.get(key) == level:
            raise UserError(
                f"'{'.'.join(key)}' is set twice, here and by {origins[key]}.",
                where=origin,
                mend="Keep one of them.",
            )
        levels[key], origins[key] = level, origin
        place = values
        for name in key[:-1]:
            # A file may say that there is nothing, and an option add to it.
            inner = place[name] = {} if place.get(name) is None else place[name]
            if not isinstance(inner, dict):
                raise UserError(f"'{name}' is {inner!r} elsewhere and has no parts.", where=origin)
            place = inner
        place[key[-1]] = value
    return values, origins


def _leaves(values: Mapping[str, Any], prefix: Key = ()) -> Iterator[tuple[Key, Any]]:
    for name, value in values.items():
        # An empty mapping is a value: it says that there is nothing.
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*prefix, name))
        else:
            yield (*prefix, name), value


def _explicit(model: type[BaseModel], option: Option, value: Any) -> Iterator[tuple[Key, Any]]:
    """Yield an option's value; mappings entry by entry, so that they add to what the file says."""
    if option.kind != "mapping" or isinstance(value, Mapping):
        yield (option.name,), value
        return
    for text in value:
        name, separator, item = str(text).partition("=")
        if not separator or not name.strip():
            raise UserError(f"found '{text}', expected name=value.", where=option.flag)
        key = (option.name, name.strip())
        yield key, _read(model, key, item)


def _assignment(model: type[BaseModel], text: str) -> tuple[Key, Any]:
    name, separator, value = text.partition("=")
    key = tuple(word.strip() for word in name.split("."))
    if not separator or not all(key):
        raise UserError(
            f"found '{text}', expected key=value.", where="--set", mend="Example: --set seed=1"
        )
    return key, _read(model, key, value)


def _read(model: type[BaseModel], key: Key, text: str) -> Any:
    """Read text as YAML, except where the field is text: `--set note=12` sets the note '12'."""
    if {*alternatives(annotation_at(model, key))} <= {str, Path}:
        return text
    return _as_list(model, key, parse_value(text))


def _as_list(model: type[BaseModel], key: Key, value: Any) -> Any:
    """Make a list of a lone value where one is expected: `data: pairs.jsonl`."""
    lone = isinstance(value, str | int | float)
    lists = all(is_list(a) for a in alternatives(annotation_at(model, key)))
    return [value] if lone and lists else value


def settings_to_yaml(settings: BaseModel) -> str:
    """Return YAML that `load_settings` reads back to equal settings."""
    return to_yaml(settings.model_dump(mode="json"))
