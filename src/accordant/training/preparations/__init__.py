"""How what objectives ask for is prepared: one file each, and the one place that calls them."""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "mechanism": (
            "check_preparations",
            "plan_preparations",
            "prepare_examples",
            "prepares",
            "run_preparations",
        ),
        "workbench": ("Parts", "Workbench"),
    },
)
