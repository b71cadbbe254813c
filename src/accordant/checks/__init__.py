"""Checks of feedback, of a run while it trains, and of a trained model; one file per check.

A check declares the passes it reads and its scale, and returns an outcome; called with inputs, it
gives a finding. `list_checks` knows all of them.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "findings": (
            "Finding",
            "FindingRow",
            "Outcome",
            "Passage",
            "SEVERITIES",
            "Scale",
            "Severity",
            "Threshold",
            "reaches",
            "worst",
        ),
        "inputs": ("CheckInputs", "NotApplicableError"),
        "monitor": ("Monitor", "WatchSettings"),
        "pair_pass": ("GAPS", "PAIRS", "REFERENCE_LOGPS"),
        "passes": ("HELD_OUT", "Need", "Pass", "TOKENS", "count_tokens"),
        "property_differences": ("PROPERTY_DIFFERENCES",),
        "registry": ("Check", "When", "bind_check_options", "check", "get_check", "list_checks"),
        "run_history": ("RunHistory", "Snapshot"),
        "sampled_answers": ("SAMPLED",),
        "settings": ("CHECKS", "CheckSettings", "EVALUATION", "MonitorSettings"),
        "snapshot": ("MonitorSet", "take_snapshot"),
        "texts": ("record_row",),
    },
)
