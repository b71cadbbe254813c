"""Modules of a folder, found by being there.

Knows packages and modules. Knows nothing of what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def load_modules(package: str, path: Iterable[str]) -> tuple[ModuleType, ...]:
    """Import every module of a package, by name, and return them.

    Args:
        package: the package's `__name__`.
        path: its `__path__`.
    """
    names = sorted(module.name for module in iter_modules(path))
    return tuple(import_module(f"{package}.{name}") for name in names)
