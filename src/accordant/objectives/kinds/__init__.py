"""The scores that losses take, by kind of feedback: one file each, found by being there.

A file holds `KIND`, all that assembly, metrics and held-out measures know of its kind. Knows
nothing else; imports no torch.
"""

from __future__ import annotations

from accordant.base.discovery import load_modules
from accordant.objectives.kind import ScoredKind

# By kind of feedback. Whoever adds one for a while, as a test does, puts it in here.
SCORED_KINDS: dict[str, ScoredKind] = {
    feedback: module.KIND
    for module in load_modules(__name__, __path__)
    for feedback in module.KIND.feedback
}


def kind_of_inputs(inputs: type) -> ScoredKind | None:
    """Return the kind whose losses take this record of scores; None where there is none."""
    return next((kind for kind in SCORED_KINDS.values() if kind.inputs is inputs), None)
