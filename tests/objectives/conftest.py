"""Hypothesis without a time limit per case: the first use of torch is slow; the same cases each run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "accordant", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("accordant")
