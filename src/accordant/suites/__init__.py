"""Suites: what a finished model is asked, who scores the answers, and what is counted.

Thin over inspect-ai (`pip install 'accordant[eval]'`), which only `inspection` and `provider`
import. How to write one: docs/adding-a-suite.md.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "inspection": ("make_task", "read_scored"),
        "provider": ("AccordantModels",),
        "registry": (
            "Item",
            "ScoredItem",
            "Suite",
            "SuiteParts",
            "get_suite",
            "list_suites",
            "suite",
        ),
    },
)
