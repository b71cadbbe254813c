"""Scores of token trees: per-token log-probabilities of continuations, by one engine.

Knows token ids, trees and models. Knows nothing of text, losses or people.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "engine": (
            "Policy",
            "ScoreOptions",
            "TreeScorer",
            "evaluating",
            "is_installed",
            "lay_out",
            "plain_logps",
            "score",
            "score_all",
        ),
        "frozen": ("Frozen", "cache_scores", "freeze"),
        "installation": ("install",),
        "pooling": ("prompt_states",),
        "score_cache": ("ScoreCache", "ScoreKey", "cached_scores", "keep_scores"),
        "scores": ("Scores", "concatenate", "from_lists"),
        "states": ("read_states",),
        "verify": ("verify_model",),
    },
)
