"""Runs: the stories of the verbs, composed of the rooms below.

A `Session` holds what one run shares; `align`, `check`, `sweep` and `chat` are told here from the
feedback to the report. Knows nothing of options on a command line.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "align.execute": ("AlignOutcome", "AlignedModel", "run_align"),
        "api": ("AnswerScores", "Checked"),
        "chat": ("ChatSession", "run_chat"),
        "check": ("plan_check", "run_check"),
        "check_report": ("build_check_report",),
        "eval": ("EvalResults", "plan_eval", "run_eval"),
        "score": ("plan_score", "run_score"),
        "session": ("Session", "open_session"),
        "reward": ("calibrate_reward", "evaluate_reward", "run_training", "score_rows"),
        "reward_settings": ("RewardEvaluateConfig", "RewardScoreConfig", "RewardTrainConfig"),
        "settings": ("AlignConfig", "ChatConfig", "CheckConfig", "EvalConfig", "ScoreConfig"),
        "sweep.sweep": ("SweepOutcome", "run_sweep"),
    },
)
