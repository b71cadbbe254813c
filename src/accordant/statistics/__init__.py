"""Statistics: intervals, tests and estimates, and numbers as data that every room may hand over."""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "agreement": ("krippendorff_alpha", "pairwise_agreement"),
        "best_of": ("best_of_divergence", "best_of_win_rates", "win_rate_over"),
        "charts": ("Chart", "Mark", "Series"),
        "corrections": ("bonferroni", "holm"),
        "crossed": ("Ratings", "standard_error", "weighted_r"),
        "deception": ("Deception", "measure_deception"),
        "density_ratios": ("DensityRatios",),
        "divergence": ("k3",),
        "estimates": (
            "area_under_curve",
            "bootstrap_mean",
            "bootstrap_median_of_means",
            "bootstrap_ratio",
            "clopper_pearson_interval",
            "median_share",
            "paired_difference",
            "proportion",
            "sign_test",
            "wilson_interval",
            "win_rate",
        ),
        "factors": ("compare_factors", "kendall_tau", "score_factors"),
        "groups": ("agree_with_groups", "compare_groups"),
        "honesty": ("answer_shares", "honesty_shares"),
        "interval": ("Interval",),
        "logistic": ("fit_grouped", "fit_logistic"),
        "measures": (
            "HeldOut",
            "KeyFigure",
            "LogpChange",
            "Measure",
            "chance_figure",
            "key_figure",
            "measures_of",
            "movement_figure",
        ),
        "rank_correlation": ("spearman",),
        "wording": ("amount", "ends", "number", "percent"),
    },
)
