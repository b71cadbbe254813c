"""Hypothesis without a time limit per case (torch starts slowly) and with the same cases each run."""

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
