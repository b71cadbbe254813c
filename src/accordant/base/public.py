"""Public lists of packages, loaded when a name is first used.

Knows module names. Imports nothing itself, so that a room can list its public names without the
cost of what they need: `import accordant` loads neither torch nor transformers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the `__getattr__`, `__dir__` and `__all__` of a package whose names are loaded lazily.

    Args:
        package: the package's `__name__`.
        homes: public names by the module that holds them; a module is named from `package` on
            (`"registry"`), or whole (`"accordant.feedback.loading"`).

    Returns:
        the three objects, to be assigned in the package's `__init__` (PEP 562).

    Raises:
        ValueError: a name has two homes.
    """
    home_of: dict[str, str] = {}
    for module, names in homes.items():
        whole = module if module.startswith("accordant") else f"{package}.{module}"
        for name in names:
            if name in home_of:
                raise ValueError(f"{package}: {name!r} is listed in {home_of[name]} and in {whole}")
            home_of[name] = whole

    def load(name: str) -> Any:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home), name)
        # Kept, so that the next use costs a plain look-up.
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of})

    return load, list_names, sorted(home_of)
