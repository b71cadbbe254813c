"""Align language models with what people want, and check that it worked.

The names below are the documented Python API (docs/python.md), loaded when first used, so that
`import accordant` costs nothing: no torch, no transformers.
"""

from __future__ import annotations

from accordant._version import __version__
from accordant.base.public import lazy_names

__getattr__, __dir__, _names = lazy_names(
    __name__,
    {
        "base.errors": ("UserError",),
        "catalogue.registry": ("get_system", "list_systems"),
        "catalogue.system": ("System",),
        "feedback.loading": ("Feedback", "load_feedback"),
        "feedback.records": (
            "Binary",
            "Comparison",
            "Demonstration",
            "JointPair",
            "Judgment",
            "Message",
            "Ranking",
            "Rating",
            "Steps",
        ),
        "models.loading": ("LoadedModel", "load_model"),
        "objectives.registry": ("get_objective", "list_objectives", "objective"),
        "rewards.expression": ("find_reward",),
        "rewards.reward": ("Answer", "score_answers"),
        "runs.align.execute": ("AlignedModel",),
        "runs.api": ("AnswerScores", "Checked", "align", "check", "sample", "score"),
    },
)
__all__ = ["__version__", *_names]
