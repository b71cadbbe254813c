"""YAML as people expect it: the core schema of YAML 1.2, with the line of every key.

Knows text and files. Knows nothing of settings, models or options. Differences from PyYAML's
defaults, each of which has bitten somebody: `1e-4` is a number, `no` and `on` are words, `12:30` is
not 750, and a key written twice is an error and not the last one winning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from accordant.base.errors import UserError

Key = tuple[str, ...]

_CORE_SCHEMA = (
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+.0123456789"),
    ),
)


class _Loader(yaml.SafeLoader):
    # Its own table: in that of the base stand the rules of YAML 1.1, shared by all loaders.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own attribute)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    # Equal values are written out: `*id001` tells a person nothing.
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Iterator[dict[str, Any]]:
    """Read keys as words whatever they look like: `1: x` and `true: x` have '1' and 'true'."""
    values: dict[str, Any] = {}
    # Handed over before it is filled, as PyYAML asks: a value may refer to its own mapping.
    yield values
    for key_node, value_node in node.value:
        values[str(key_node.value)] = loader.construct_object(value_node, deep=True)


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    """Write text; only the double-quoted style keeps line separators as they are."""
    style = '"' if set(value) & set("\r\x85\u2028\u2029\ufeff") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
for _class in (_Loader, _Dumper):
    for _tag, _pattern, _first in _CORE_SCHEMA:
        _class.add_implicit_resolver(_tag, _pattern, _first)


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A mapping read from a file; `lines` holds the line of every key, from 1."""

    values: dict[str, Any]
    lines: dict[Key, int]


def read_yaml(path: Path) -> YamlFile:
    """Read a mapping.

    Raises:
        UserError: the file cannot be read, is not YAML, repeats a key, or is not a mapping.
    """
    try:
        # Some editors put a mark in front, which is no part of the first key.
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError("there is no such file.", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {error}.", where=str(path)) from None
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return YamlFile({}, {})
        if not isinstance(node, yaml.MappingNode):
            raise UserError("found no `key: value` lines at the top level.", where=str(path))
        lines = dict(_lines(node, (), path))
        return YamlFile(loader.construct_document(node), lines)
    except yaml.YAMLError as error:
        raise _not_yaml(error, path) from None
    finally:
        loader.dispose()


def _not_yaml(error: yaml.YAMLError, path: Path) -> UserError:
    mark = getattr(error, "problem_mark", None)
    line = "" if mark is None else f", line {mark.line + 1}"
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return UserError(f"is not YAML: {problem}.", where=f"{path}{line}")


def _lines(
    node: yaml.MappingNode, prefix: Key, path: Path, parents: tuple[yaml.Node, ...] = ()
) -> Iterator[tuple[Key, int]]:
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        where = f"{path}, line {line}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise UserError("found a key that is not a word.", where=where)
        name = str(key_node.value)
        if name in seen:
            raise UserError(
                f"the key '{name}' stands here and in line {seen[name]}.",
                where=where,
                mend="Keep one of them.",
            )
        seen[name] = line
        yield (*prefix, name), line
        if value_node in (*parents, node):
            raise UserError(f"the value of '{name}' contains itself.", where=where)
        if isinstance(value_node, yaml.MappingNode):
            yield from _lines(value_node, (*prefix, name), path, (*parents, node))


def parse_value(text: str) -> Any:
    """Read `text` as a YAML value; text that is not YAML means itself."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        return text


def to_yaml(values: dict[str, Any]) -> str:
    """Write YAML that `read_yaml` reads back to equal values."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
