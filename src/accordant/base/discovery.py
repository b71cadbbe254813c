"""Registries filled by decorators: modules found by being there, names that are taken once.

Knows packages, modules, names and docstrings. Knows nothing of what is registered.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, TypeVar

from accordant.base.errors import UserError, nearest

Entry = TypeVar("Entry")


def load_modules(package: str, path: Iterable[str]) -> tuple[ModuleType, ...]:
    """Import every module of a package, by name, and return them.

    Args:
        package: the package's `__name__`.
        path: its `__path__`.
    """
    names = sorted(module.name for module in iter_modules(path))
    return tuple(import_module(f"{package}.{name}") for name in names)


def summarise_entry(
    noun: str, name: str, function: Callable[..., Any], known: Callable[..., Any] | None
) -> str:
    """Return the first line of the docstring of a function that registers itself.

    Args:
        noun: what it is, for errors, such as `guide`.
        name: the name it takes.
        function: what is registered.
        known: the function that has the name already; None where it is free.

    Raises:
        ValueError: the name is taken by a function of another module.
        TypeError: there is no docstring.
    """
    # The same function may come again: a notebook cell that is re-run.
    if known is not None and known.__module__ != function.__module__:
        raise ValueError(f"the name {name!r} is taken by {known.__module__}")
    summary = (inspect.getdoc(function) or "").partition("\n")[0]
    if not summary:
        raise TypeError(f"{noun} {name!r} needs a docstring")
    return summary


def find_entry(noun: str, name: str, known: Mapping[str, Entry]) -> Entry:
    """Return what is registered under a name.

    Args:
        noun: what it is, for errors, such as `recipe`.
        name: as the user wrote it.
        known: everything that is registered, by name.

    Raises:
        UserError: there is none of this name; suggests the nearest.
    """
    if name not in known:
        raise UserError(f"there is no {noun} {name!r}.", mend=nearest(name, known))
    return known[name]
