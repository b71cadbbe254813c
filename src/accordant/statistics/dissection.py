"""Which properties tell preferences when nothing else differs: a regression over signs.

Knows signs (which of two things has more of a property, row by row) and units of rows that belong
together, such as the pairs of a ranking. Knows nothing of texts, people or models. After Li et al.
(2024, Dissecting Human and LLM Preferences).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from accordant.statistics.corrections import holm
from accordant.statistics.estimates import wilson_interval
from accordant.statistics.interval import Interval
from accordant.statistics.logistic import (
    Weights,
    draw_sparse_weights,
    draw_weights,
    fit_logistic,
    probability_draws,
    sigmoid,
)

if TYPE_CHECKING:
    from accordant.statistics.arrays import Flags, Floats, Integers

ALIKE = 0.95  # correlation from which on two properties cannot be told apart
FOLDS = 5
FOLD_DRAWS = 500  # only the sign of their mean counts


@dataclass(frozen=True, slots=True)
class Side:
    """What one who prefers makes of `k` properties.

    Args:
        weights: their posterior.
        probabilities: of preferring the thing with more of each when only this differs.
        sure: whether each is preferred or avoided, at 5 % over all of them (Holm), `[k]`.
    """

    weights: Weights
    probabilities: tuple[Interval, ...]
    sure: Flags


def distinct_columns(signs: Floats, order: Iterable[int]) -> tuple[list[int], dict[int, int]]:
    """Choose columns of `[n, k]` that no earlier one stands for, nearly the same or opposite.

    Returns:
        those that are kept, rising, and which of them stands for each of the others.
    """
    kept: list[int] = []
    twins: dict[int, int] = {}
    for place in order:
        twin = next((k for k in kept if _alike(signs[:, k], signs[:, place])), None)
        if twin is None:
            kept.append(place)
        else:
            twins[place] = twin
    return sorted(kept), twins


def _alike(first: Floats, second: Floats) -> bool:
    return bool(abs(first @ second) > ALIKE * np.sqrt((first @ first) * (second @ second)))


def unit_weights(units: Integers) -> Floats:
    """Weigh each row by 1 / rows of its unit, so that every unit counts once, `[n]`."""
    _, place, counts = np.unique(units, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[place])


def fit_side(
    signs: Floats, preferred: Floats, weights: Floats, *, scale: float | None, exact: bool = True
) -> Side:
    """Fit one who prefers.

    Args:
        signs: -1, 0 or 1, `[n, k]`.
        preferred: 1 where the first thing of a row is preferred, 0 where the other is, `[n]`.
        weights: of the rows, `[n]`.
        scale: of the Laplace prior of signs as they are; the Normal(0, 1) of signs divided by their
            root mean square when None.
        exact: whether probabilities under the Normal come from draws of the posterior, not from its
            Laplace approximation.
    """
    if scale is not None:
        return _sparse_side(signs, preferred, weights, scale)
    fitted = fit_logistic(signs, preferred, weights)
    # On both sides: a property may be avoided as well as preferred.
    tails = [2 * NormalDist().cdf(-abs(z)) for z in fitted.mean / fitted.deviations]
    if exact:
        drawn = probability_draws(draw_weights(signs, preferred, weights), len(signs))
        return Side(fitted, drawn, holm(tails))
    return Side(fitted, fitted.probabilities(), holm(tails))


def _sparse_side(signs: Floats, preferred: Floats, weights: Floats, scale: float) -> Side:
    drawn = draw_sparse_weights(signs, preferred, weights, scale=scale)
    mean = drawn.mean(0)
    # The published probability is that of the mean weight; its ends are those of the draws.
    probabilities = tuple(
        Interval(float(estimate), interval.low, interval.high, interval.count)
        for estimate, interval in zip(
            sigmoid(mean), probability_draws(drawn, len(signs)), strict=True
        )
    )
    above = (drawn > 0).mean(0)
    # A tail without a draw is not 0: it is less than one draw in all.
    tails = 2 * np.maximum(np.minimum(above, 1 - above), 0.5 / len(drawn))
    covariance = np.atleast_2d(np.cov(drawn.T))
    posterior = Weights(mean, covariance, float("nan"), len(signs))
    return Side(posterior, probabilities, holm(tails.tolist()))


def unseen_accuracy(
    signs: Floats, weights: Floats, units: Integers, *, scale: float | None
) -> Interval:
    """Return the share of units whose preference the rest of the data tells right, ties half."""
    # By unit: pairs of one ranking on both sides would tell each other.
    right, folds = 0.0, units % FOLDS
    for fold in range(FOLDS):
        out = folds == fold
        rest, ones, counts = signs[~out], np.ones(int((~out).sum())), weights[~out]
        if scale is None:
            mean = fit_logistic(rest, ones, counts).mean
        else:
            mean = draw_sparse_weights(rest, ones, counts, scale=scale, draws=FOLD_DRAWS).mean(0)
        right += float(weights[out] @ (0.5 * (1 + np.sign(signs[out] @ mean))))
    count = len(np.unique(units))
    # Weights of a unit's rows sum to 1, but for rounding.
    return wilson_interval(min(right, count), count)
