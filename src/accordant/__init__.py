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
    "AlignConfig": "accordant.training.settings",
    "Binary": "accordant.feedback.records",
    "Comparison": "accordant.feedback.records",
    "Demonstration": "accordant.feedback.records",
    "JointPair": "accordant.feedback.records",
    "Judgment": "accordant.feedback.records",
    "Message": "accordant.feedback.records",
    "Ranking": "accordant.feedback.records",
    "Rating": "accordant.feedback.records",
    "Steps": "accordant.feedback.records",
    "System": "accordant.catalogue.system",
    "UserError": "accordant.base.errors",
    "get_objective": "accordant.objectives.registry",
    "list_objectives": "accordant.objectives.registry",
    "list_systems": "accordant.catalogue.registry",
    "load_feedback": "accordant.feedback.loading",
    "load_model": "accordant.models.loading",
    "objective": "accordant.objectives.registry",
    "run_align": "accordant.runs.align",
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
