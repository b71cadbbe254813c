"""The scores that losses take, by kind of feedback: one file each, found by being there.

A file holds `KIND`, a `ScoredKind`: all that assembly, metrics and held-out measures know of its
kind. Knows nothing else; imports no torch.
"""

from __future__ import annotations

from accordant.base.discovery import load_modules
from accordant.objectives.kind import ScoredKind

# By kind of feedback. Whoever adds one for a while, as a test does, puts it in here.
SCORED_KINDS: dict[str, type[ScoredKind]] = {
    feedback: module.KIND
    for module in load_modules(__name__, __path__)
    for feedback in module.KIND.feedback
}
