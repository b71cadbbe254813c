"""Scores of token trees: per-token log-probabilities of continuations, by one engine.

Knows token ids, trees and models. Knows nothing of text, losses or people.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "apart": ("plain_logps", "sharing_of"),
        "compilation": ("compiled_layers", "row_lengths", "static_lengths", "why_not_compilable"),
        "distributions": ("next_token_logps",),
        "engine": (
            "Policy",
            "ScoreOptions",
            "TreeScorer",
            "device_of",
            "evaluating",
            "is_installed",
            "lay_out",
            "pack",
            "score",
            "score_all",
            "score_packed",
        ),
        "frozen": ("Frozen", "cache_scores", "freeze"),
        "head": ("chunk_elements",),
        "installation": ("install",),
        "pooling": ("prompt_states",),
        "residuals": ("head_products",),
        "score_cache": ("ScoreCache", "ScoreKey", "cached_scores", "keep_scores"),
        "scores": ("Scores", "concatenate", "from_lists"),
        "shards": ("fill_shards",),
        "states": ("read_states",),
        "verify": ("verify_model",),
    },
)
