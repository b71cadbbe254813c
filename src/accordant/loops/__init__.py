"""Loops: who samples, who labels, what is trained, against whom and how long.

A recipe says it in names, `run_loop` does it; `Loop` is the source of examples that the one trainer
asks. Knows samplers, rewards and the trainer. Knows nothing of verbs, reports or files of prompts.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "drawn": ("Drawn", "Labelled", "Round", "read_round"),
        "filters": ("cut_answers", "equal_answers", "equal_scores"),
        "labellers": ("ByPreference", "ByReward", "Labeller", "read_tokens"),
        "loop": ("Loop",),
        "recipe": (
            "Draw",
            "FIXED",
            "PREVIOUS",
            "Passes",
            "ROUND_START",
            "Recipe",
            "ReferenceRule",
            "falling",
            "find_recipe",
            "kl_above",
            "list_recipes",
            "moving_average",
            "sync",
        ),
        "reference": ("MovingReference",),
        "run": ("LoopResult", "make_loop", "recipe_settings", "run_loop"),
    },
)
