"""Rewards: batched functions from answers to numbers, and what is made of them."""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "best_of": ("BestOf",),
        "expression": ("find_reward",),
        "honest_answers": ("Answered", "Question", "REFUSAL", "build_honesty_data"),
        "honesty": ("honesty_reward", "label_answer"),
        "implicit": ("ImplicitReward",),
        "model": ("RewardModel", "load_reward_model", "make_reward_model", "record_calibration"),
        "preference": ("Preference", "RewardPreference", "symmetric_preference"),
        "registry": ("FunctionReward", "list_rewards", "register_reward"),
        "reward": ("Answer", "Reward", "Rewards", "read_answer", "score_answers", "score_single"),
        "rules": ("FORM_ONLY", "count_sentences", "ends_cleanly", "is_concise"),
        "transforms": ("CALIBRATIONS", "TRANSFORMS"),
        "wrappers": (
            "Calibrated",
            "Derived",
            "REFERENCE_ANSWERS",
            "combine_rewards",
            "compares",
            "select_attribute",
            "transform_reward",
            "with_reference_answers",
        ),
    },
)
