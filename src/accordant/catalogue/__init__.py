"""The published systems as data: what each is, where it lives, how to run it, what it claims.

The names below are the room's public surface, loaded when first used.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "registry": (
            "get_system",
            "list_systems",
            "read_results",
            "read_systems",
            "rooms",
            "slugs",
        ),
        "system": ("AXES", "Axes", "Paper", "Part", "Result", "System"),
    },
)
