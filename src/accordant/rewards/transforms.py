"""Maps of rewards: calibrations against a reference policy's rewards, and transforms without one.

Pure functions of float64 arrays that never reverse an order. Knows nothing of answers, prompts or
where a reward comes from. A calibration sees one prompt: rewards `[n]` of its answers and rewards
`[K]` of the reference policy's own answers to it.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from accordant.statistics.logistic import sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Quantile = Annotated[
    float,
    Field(
        gt=0.0,
        lt=1.0,
        description="r_ref is this quantile of the reference; its mean where there is none.",
    ),
]
Fit = Annotated[
    Literal["gaussian", "empirical"],
    Field(description="the quantile of a normal with the reference's moments, or of its values."),
]


def centre(
    rewards: Floats, reference: Floats, *, q: Quantile | None = None, fit: Fit = "gaussian"
) -> Floats:
    """Subtract a reward that counts as just good, r - r_ref; a single reference is r_ref itself."""
    if q is None or len(reference) == 1:
        return rewards - reference.mean()
    if fit == "empirical":
        return rewards - np.quantile(reference, q)
    # A normal's quantile is steadier than that of few values, whose 85 % is nearly their largest.
    return rewards - (reference.mean() + NormalDist().inv_cdf(q) * reference.std(ddof=1))


def lsc(
    rewards: Floats, reference: Floats, *, q: Quantile | None = 0.85, fit: Fit = "gaussian"
) -> Floats:
    """Take the centred log-sigmoid, log sigma(r - r_ref): never above 0.

    With a Bradley-Terry reward it is the log-probability that the answer is good, so a sum over
    properties is that of being good in all of them, if they are independent (Wang et al. 2024,
    arXiv:2402.00742).
    """
    return _log_sigmoid(centre(rewards, reference, q=q, fit=fit))


def zscore(rewards: Floats, reference: Floats) -> Floats:
    """Subtract the reference's mean and divide by its deviation, by 1 where it has none."""
    deviation = reference.std(ddof=1) if len(reference) > 1 else 0.0
    return (rewards - reference.mean()) / (deviation or 1.0)


def cdf(rewards: Floats, reference: Floats) -> Floats:
    """Return the share of the reference that each reward exceeds, ties half, in [0, 1].

    Uniform under the reference policy, and the same for every monotone map of the reward
    (Balashankar et al. 2024, arXiv:2412.19792).
    """
    below, at_most = (np.searchsorted(np.sort(reference), rewards, s) for s in ("left", "right"))
    return np.asarray((below + at_most) / (2 * len(reference)), np.float64)


def _log_sigmoid(rewards: Floats) -> Floats:
    # log(sigmoid(r)) would be log 0 far below; this is exact there.
    return -np.logaddexp(0.0, -rewards)


def clip(rewards: Floats, *, low: float = -5.0, high: float = 5.0) -> Floats:
    """Cut rewards to [low, high].

    Args:
        rewards: any shape.
        low: smallest reward that is told from lower ones.
        high: largest reward that is told from higher ones.
    """
    return np.clip(rewards, low, high)


CALIBRATIONS: dict[str, Callable[..., Floats]] = {
    "cdf": cdf,
    "centre": centre,
    "lsc": lsc,
    "zscore": zscore,
}
TRANSFORMS: dict[str, Callable[..., Floats]] = {
    "clip": clip,
    "identity": lambda rewards: rewards,
    "log_sigmoid": _log_sigmoid,
    "sigmoid": sigmoid,
}
