"""How well margins of rewards say how sure they are: calibration errors and a temperature.

Knows margins of preferred over other answers. Knows nothing of models. A pair enters in both
orders, as p with outcome 1 and 1 - p with outcome 0, so that reliability is symmetric and no error
comes from which answer is named first (Zeng et al. 2023, arXiv:2312.07401, their code).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from accordant.statistics.estimates import SEED, bootstrap_statistic
from accordant.statistics.interval import Interval
from accordant.statistics.logistic import sigmoid

if TYPE_CHECKING:
    from accordant.statistics.arrays import Floats

BINS = 10
FLOOR_DRAWS = 200
_LOG_TEMPERATURES = (-3.0, 5.0)


def reliability(margins: Floats, bins: int = BINS) -> list[tuple[float, float, int]]:
    """Return mean chance, share preferred and count of every bin that holds something.

    Args:
        margins: reward of the preferred answer minus that of the other, in log-odds, `[n]`.
        bins: of equal width on [0, 1].
    """
    chances, outcomes, places = _both_orders(margins, bins)
    rows = []
    for place in range(bins):
        inside = places == place
        if inside.any():
            mean, share = float(chances[inside].mean()), float(outcomes[inside].mean())
            rows.append((mean, share, int(inside.sum())))
    return rows


def calibration_error(margins: Floats, bins: int = BINS) -> Interval:
    """Compute ECE, the mean distance of chance and share over equal bins, with its interval.

    With few pairs it is biased up: `calibration_floor` says by how much.
    """
    chances, outcomes, places = _both_orders(margins, bins)
    excess = np.stack([np.where(places == bin_, chances - outcomes, 0) for bin_ in range(bins)])
    count = len(margins)
    # Both orders of a pair are drawn together: they are one observation.
    by_pair = excess[:, :count] + excess[:, count:]

    def error(rows: Any) -> Floats:
        drawn = by_pair[:, rows].sum(-1)  # [bins, resamples]
        total: Floats = np.abs(drawn).sum(0) / (2 * count)
        return total

    return bootstrap_statistic(error, count, resamples=1000)


def calibration_floor(margins: Floats, bins: int = BINS) -> float:
    """Return the mean ECE that these margins would show if their chances were exactly right."""
    generator = np.random.default_rng(SEED)
    errors = []
    for _ in range(FLOOR_DRAWS):
        wins = generator.random(len(margins)) < sigmoid(margins)
        errors.append(_error_alone(np.where(wins, margins, -margins), bins))
    return float(np.mean(errors)) if len(margins) else float("nan")


def _error_alone(margins: Floats, bins: int = BINS) -> float:
    """Compute ECE alone."""
    chances, outcomes, places = _both_orders(margins, bins)
    sums = np.bincount(places, chances - outcomes, minlength=bins)
    return float(np.abs(sums).sum() / max(len(chances), 1))


def fit_temperature(margins: Floats) -> float:
    """Fit T so that sigmoid(margin / T) is likeliest; 1 where margins say nothing.

    The log-likelihood is concave in 1 / T. Margins that are all right want T = 0, and get the
    smallest that is looked at.
    """
    from scipy.optimize import minimize_scalar

    if not np.any(margins):
        return 1.0

    def cost(log_temperature: float) -> float:
        return float(np.logaddexp(0, -margins / np.exp(log_temperature)).mean())

    found = minimize_scalar(cost, bounds=_LOG_TEMPERATURES, method="bounded")
    return float(np.exp(found.x))


def _both_orders(margins: Floats, bins: int) -> tuple[Floats, Floats, Any]:
    chances = np.concatenate([sigmoid(margins), sigmoid(-margins)])
    outcomes = np.repeat([1.0, 0.0], len(margins))
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    return chances, outcomes, np.searchsorted(edges, chances, side="right")
