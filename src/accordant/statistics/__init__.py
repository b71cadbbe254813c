"""Statistics: intervals, tests and estimates, and numbers as data that every room may hand over."""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "agreement": ("Metric", "krippendorff_alpha", "pairwise_agreement"),
        "arrays": ("Flags", "Floats", "Integers"),
        "best_of": (
            "best_of_divergence",
            "best_of_win_rates",
            "chances",
            "selected",
            "win_rate_over",
        ),
        "calibration": (
            "calibration_error",
            "calibration_floor",
            "fit_temperature",
            "reliability",
        ),
        "charts": ("Chart", "Mark", "Series"),
        "corrections": ("bonferroni", "holm"),
        "crossed": ("Ratings", "standard_error", "weighted_r"),
        "deception": ("CONFIDENCE", "Deception", "find_areas", "measure_deception"),
        "density_ratios": ("DensityRatios", "estimate_density_ratios"),
        "dissection": ("Side", "distinct_columns", "fit_side", "unit_weights", "unseen_accuracy"),
        "divergence": ("k3", "withhold_impossible"),
        "estimates": (
            "area_under_curve",
            "bootstrap_mean",
            "bootstrap_median_of_means",
            "bootstrap_ratio",
            "bootstrap_statistic",
            "clopper_pearson_interval",
            "median_share",
            "paired_difference",
            "proportion",
            "sign_test",
            "to_floats",
            "wilson_interval",
            "win_rate",
        ),
        "factors": (
            "FactorComparison",
            "FactorScores",
            "compare_factors",
            "score_factors",
        ),
        "groups": (
            "GroupAgreement",
            "GroupDifference",
            "agree_with_groups",
            "compare_groups",
            "correct_together",
        ),
        "honesty": ("LABELS", "Label", "answer_shares", "honesty_shares"),
        "interval": ("Interval",),
        "logistic": ("fit_grouped", "fit_logistic", "sigmoid"),
        "measures": (
            "HeldOut",
            "KeyFigure",
            "LogpChange",
            "Measure",
            "Tone",
            "chance_figure",
            "key_figure",
            "movement_figure",
            "tone_of",
        ),
        "rank_correlation": ("kendall_tau", "spearman"),
        "wording": ("amount", "ends", "in_brackets", "number", "percent"),
    },
)
