"""Given records: one round of them is what `accordant align` does."""

from __future__ import annotations

from accordant.loops.recipe import Passes, Recipe

RECIPE = Recipe(
    name="given",
    summary="Records that lie there already; with more rounds, against a reference that follows.",
    paper="none: offline training as a loop of one round",
    draws=(),
    labeller=None,
    objective="dpo",
    filters=(),
    passes=Passes(epochs=1),
    rounds=1,
)
