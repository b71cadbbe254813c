"""Feedback: rows of files and data sets, recognised, validated and read into records by kind.

Knows text, roles, labels and columns. Knows nothing of tokens, models or losses.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "bundled": ("bundled_path",),
        "conversations": ("common_length",),
        "kind": ("Asked", "Kind"),
        "kinds": (
            "KINDS",
            "answers_of",
            "asked_of",
            "kind_of_record",
            "preferences_of",
            "prompts_of",
            "why_nothing_learnt",
        ),
        "kinds.judgment": ("JUDGMENT_PROMPT", "check_wording"),
        "kinds.ranking": ("ordered_places",),
        "loading": ("Feedback", "Rows", "is_conversational", "load_feedback"),
        "reading": ("describe_reading", "read_feedback"),
        "recognition": ("recognise",),
        "records": (
            "Binary",
            "Comparison",
            "Demonstration",
            "JointPair",
            "Judgment",
            "Message",
            "Origin",
            "Ranking",
            "Rating",
            "Record",
            "Steps",
            "Text",
            "flat",
        ),
        "relabelling": ("augment_with_rewards", "with_goal"),
        "rows": ("BadRow", "Row", "RowError", "excerpt", "kind_of"),
        "settings": ("DATA", "FeedbackSettings"),
        "sources": ("find_test_files", "read_rows"),
        "splitting": ("split_feedback",),
        "writing": ("Written", "check_target", "write_rows", "write_without"),
    },
)
