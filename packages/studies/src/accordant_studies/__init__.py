"""Claims of published systems re-run in miniature, and explorations of losses.

The wheel adds `reproduce` and commands of `objectives` to the command line. Knows all of accordant,
which knows nothing of it. The names below are its public surface, loaded when first used.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "explore.comparing": ("ObjectiveComparison", "View", "compare", "look_at"),
        "registry": ("get_study", "list_studies"),
        "study": ("Claim", "JudgedClaim", "Reproduction", "ResultRow", "Share", "Study"),
    },
)
