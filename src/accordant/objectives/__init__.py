"""Objectives: pure losses of scores by family, what they may ask for, and the registry of them.

Knows scores, labels and options. Knows nothing of models, tokenizers, trainers or files; listing
objectives imports no torch.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "assembly": ("assemble",),
        "batch": (
            "MetricTotals",
            "column_means",
            "column_totals",
            "evaluate",
            "family_metrics",
            "loss_totals",
        ),
        "feedback": ("check_contrast", "check_feedback", "check_labels", "check_sampling"),
        "held_out": ("HeldOutLogps",),
        "inputs": ("Attached", "ExtraAnswers", "LossOutput", "Sequences"),
        "kind": ("ScoredKind", "answer_counts"),
        "kinds": ("SCORED_KINDS",),
        "kinds.binary": ("BinaryScores",),
        "kinds.comparison": ("PairwiseScores",),
        "kinds.demonstration": ("DemonstrationScores",),
        "kinds.judgment": ("JudgmentScores",),
        "kinds.ranking": ("ListwiseScores",),
        "preparations": (
            "Baselines",
            "DETAILS",
            "Detail",
            "Mismatched",
            "Preparation",
            "PromptWeights",
            "RewardGaps",
            "ScoredPrompts",
            "SelfSamples",
            "Votes",
        ),
        "registry": (
            "Beta",
            "Objective",
            "bind_options",
            "get_objective",
            "list_objectives",
            "list_reward_losses",
            "load_objective_file",
            "objective",
            "temporary_objectives",
        ),
        "settings": ("METHOD", "ObjectiveSettings"),
    },
)
