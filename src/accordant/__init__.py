"""Align language models with what people want, and check that it worked.

The names below are the public surface. They are loaded when first used, so that `import accordant`
costs nothing: no torch, no transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from accordant._version import __version__

# Public name -> the module it lives in.
_HOMES = {
    "AlignConfig": "accordant.training.config",
    "Binary": "accordant.data.records",
    "Comparison": "accordant.data.records",
    "Demonstration": "accordant.data.records",
    "JointPair": "accordant.data.records",
    "Judgment": "accordant.data.records",
    "Message": "accordant.data.records",
    "Ranking": "accordant.data.records",
    "Rating": "accordant.data.records",
    "Steps": "accordant.data.records",
    "System": "accordant.catalogue.system",
    "UserError": "accordant.errors",
    "get_objective": "accordant.objectives.registry",
    "list_objectives": "accordant.objectives.registry",
    "list_systems": "accordant.catalogue.registry",
    "load_feedback": "accordant.data.loading",
    "load_model": "accordant.models.loading",
    "objective": "accordant.objectives.registry",
    "run_align": "accordant.workflows.align",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'accordant' has no attribute '{name}'")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
