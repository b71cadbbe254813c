"""Distributional policy gradient on the policy's own answers, one step a round."""

from __future__ import annotations

from accordant.loops.labellers import ByReward
from accordant.loops.recipe import Draw, Recipe

RECIPE = Recipe(
    name="f_dpg",
    summary="Any f-divergence to the distribution that a reward describes, on own answers.",
    paper="Go et al. 2023 (arXiv 2302.08215), theorem 1",
    # Several answers a prompt: its constant Z is estimated from them.
    draws=(Draw(count=8),),
    labeller=ByReward(kind="ranking"),
    objective="f_dpg",
    # Answers that are all alike say where the policy is: they are samples like any other.
    filters=(),
)
