"""Hypothesis without a time limit per case (torch starts slowly); the same cases in each run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "objectives",
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("objectives")
