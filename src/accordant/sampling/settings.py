"""Settings that say how answers are drawn from a model.

Knows names, ranges and defaults. Knows nothing of torch or of what answers are for.
"""

from __future__ import annotations

from accordant.base.settings import Settings, setting

SAMPLING = "Sampling"


class SamplingSettings(Settings):
    """Settings of sampling: how bold, and how long an answer may be."""

    temperature: float = setting(
        1.0, "Sampling temperature; 0 always takes the likeliest token.", panel=SAMPLING, ge=0
    )
    max_new_tokens: int = setting(128, "Most tokens of an answer.", panel=SAMPLING, ge=1)
