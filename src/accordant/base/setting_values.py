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
    given = _Given(model)
    if config_file is not None:
        file = read_yaml(config_file)
        for key, value in _leaves(file.values):
            where = f"{config_file}, line {file.lines.get(key, 1)}, key"
            given.put(key, _as_list(model, key, value), where, level=0)
    for text in assignments:
        given.put(*_assignment(model, text), "--set", level=1)
    flags = {option.name: option for option in options_of(model)}
    for name, value in (options or {}).items():
        option = flags[name]
        for key, item in _explicit(model, option, value):
            given.put(key, item, option.flag, level=1)
    try:
        return model.model_validate(given.values)
    except ValidationError as error:
        raise explain(error, model, given.origins) from None


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
        # Options and `--set` are one level: giving both is a slip and no override.
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
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                raise UserError(f"'{name}' is {inner!r} elsewhere and has no parts.", where=origin)
            place = inner
        place[key[-1]] = value


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
