"""Bayesian logistic regression without an intercept, for which of two things is preferred.

Knows arrays of numbers. Knows nothing of what is compared. Columns are not centred, as swapping the
two things of a pair must negate a row and change nothing else. Under the Normal(0, 1) prior, which
is of columns divided by their root mean square, the posterior is Laplace's approximation,
Normal(mode, inverse of the negative Hessian there); `draw_weights` gives exact draws to hold
against it. Under a Laplace prior of columns as they are the draws are the posterior. All arithmetic
is float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from accordant.statistics.estimates import LEVEL, SEED, normal_quantile
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from accordant.statistics.arrays import Floats, Integers

_STEPS = 100
_TOLERANCE = 1e-10
_SCALES = (0.01, 2.0)  # of group deviations, searched for the likeliest


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A posterior of weights, in the units of the columns that were given.

    Args:
        mean: `[k]`, the mode of the posterior.
        covariance: `[k, k]`.
        log_evidence: Laplace's approximation of the log marginal likelihood, in nats.
        count: rows it rests on.
    """

    mean: Floats
    covariance: Floats
    log_evidence: float
    count: int

    @property
    def deviations(self) -> Floats:
        """Posterior standard deviations, `[k]`."""
        return np.sqrt(np.diag(self.covariance))

    def probabilities(self) -> tuple[Interval, ...]:
        """Return sigmoid(w_j): how probable 1 is where column j is 1 and all others are 0.

        The interval is sigmoid(mean +- z sd), in (0, 1), at 95 %.
        """
        half = normal_quantile(LEVEL) * self.deviations
        ends = (self.mean, self.mean - half, self.mean + half)
        return _intervals([sigmoid(end) for end in ends], self.count)


@dataclass(frozen=True, slots=True, eq=False)
class GroupedWeights:
    """Posteriors of groups that share a mean, and the posterior of that mean.

    Args:
        shared: of the mean of groups.
        groups: of every group, in the order of their numbers.
        scale: standard deviation of a group's deviation, in units of the prior of shared weights.
    """

    shared: Weights
    groups: tuple[Weights, ...]
    scale: float


def sigmoid(values: ArrayLike) -> Floats:
    """Compute 1 / (1 + exp(-x)) without overflow, elementwise."""
    # By tanh: exp(-x) overflows at -710, and numpy warns of it.
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(values, np.float64) / 2)))


def fit_logistic(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Weights:
    """Fit P(y = 1) = sigmoid(x w), w_j s_j ~ Normal(0, 1), s_j the root mean square of column j.

    Args:
        x: `[n, k]`; a column of zeros keeps its prior Normal(0, 1).
        y: 0 or 1, `[n]`.
        weights: how often every row counts, `[n]`, not negative; once when None.

    Raises:
        ValueError: the shapes do not fit, or a number is out of range.
    """
    # Groups without members deviate from nothing.
    return _posteriors(_Design.of(x, y, weights, None), 0.0).shared


def fit_grouped(
    x: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    scale: float | None = None,
) -> GroupedWeights:
    """Fit the same by group, with partial pooling: w_g = w + u_g, w s ~ N(0, 1), u_g s ~ N(0, t^2).

    All weights are at their joint mode. t is the one that makes log p(y | t) + log t largest, the
    marginal likelihood by Laplace's approximation; the second term, of a Gamma(2) prior with a rate
    near 0, keeps t off 0, where groups would be called equal for sure (Chung et al. 2013,
    Psychometrika 78). Intervals take t as known.

    Args:
        x: `[n, k]`.
        y: 0 or 1, `[n]`.
        groups: group of every row, int `[n]`, numbered from 0.
        weights: how often every row counts, `[n]`.
        scale: t; found as said when None.

    Raises:
        ValueError: the shapes do not fit, or a number is out of range.
    """
    from scipy.optimize import minimize_scalar

    design = _Design.of(x, y, weights, groups)
    if scale is None:
        last: list[Floats | None] = [None]  # the last mode is near the next one

        def cost(log_scale: float) -> float:
            last[0], _, evidence = design.climb(float(np.exp(log_scale)), last[0])
            return -(evidence + log_scale)

        bounds = float(np.log(_SCALES[0])), float(np.log(_SCALES[1]))
        likeliest = minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 0.02})
        scale = float(np.exp(likeliest.x))
    return _posteriors(design, scale)


def draw_weights(
    x: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    draws: int = 4000,
    seed: int = SEED,
) -> Floats:
    """Draw from the exact posterior of `fit_logistic`, `[draws, k]`, in units of the columns.

    Elliptical slice sampling (Murray, Adams and MacKay 2010) around Laplace's approximation with
    twice its variance: the target is Normal times the ratio of the posterior to it, which holds for
    any posterior and mixes well near a Normal one (Nishihara, Murray and Adams 2014). Neighbouring
    draws depend on each other. Costs a few passes over the rows a draw, so it is for small data.

    Args:
        x: `[n, k]`.
        y: 0 or 1, `[n]`.
        weights: how often every row counts, `[n]`.
        draws: to return, after a tenth as many that are thrown away.
        seed: of the draws.
    """
    return _draw(_Design.of(x, y, weights, None), lambda _: 0.0, draws, seed)


def draw_sparse_weights(
    x: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    scale: float = 0.1,
    draws: int = 2000,
    seed: int = SEED,
) -> Floats:
    """Draw from the posterior under w_j ~ Laplace(0, scale), of columns as they are, `[draws, k]`.

    The prior of Li et al. 2024. Drawn as in `draw_weights`, around the approximation under a Normal
    prior of the same variance, 2 scale^2.

    Args:
        x: `[n, k]`.
        y: 0 or 1, `[n]`.
        weights: how often every row counts, `[n]`.
        scale: of the prior; its mean distance from 0.
        draws: to return, after a tenth as many that are thrown away.
        seed: of the draws.
    """
    deviation = scale * 2**0.5

    def prior_ratio(place: Floats) -> float:
        # In units of its deviation: log Laplace minus log Normal, which `height` holds.
        return float(0.5 * place @ place - 2**0.5 * np.abs(place).sum())

    return _draw(_Design.of(x, y, weights, None, deviation), prior_ratio, draws, seed)


def _draw(design: _Design, prior_ratio: Callable[[Floats], float], draws: int, seed: int) -> Floats:
    """Draw from a posterior whose log prior differs from the Normal one by `prior_ratio`."""
    mode, hessian, _ = design.climb(0.0, None)
    generator = np.random.default_rng(seed)
    # Twice the variance of Laplace's: a proposal narrower than the target would mix badly.
    root = np.linalg.cholesky(2 * np.linalg.inv(hessian))

    def ratio(away: Floats) -> float:
        place = mode + away
        height = design.height(place, 0.0) + prior_ratio(place)
        return height + 0.25 * float(away @ hessian @ away)

    away = np.zeros(len(mode))
    kept = np.empty((draws, len(mode)))
    for place in range(-(draws // 10), draws):
        away = _slice(away, root @ generator.standard_normal(len(mode)), ratio, generator)
        if place >= 0:
            kept[place] = mode + away
    return kept / design.scales


def probability_draws(draws: Floats, count: int) -> tuple[Interval, ...]:
    """Return `Weights.probabilities` from draws `[draws, k]`: quantiles of sigmoid(w_j).

    `count` is the rows that the draws rest on.
    """
    tail = (1 - LEVEL) / 2
    quantiles = np.quantile(sigmoid(draws), [0.5, tail, 1 - tail], axis=0)
    return _intervals(list(quantiles), count)


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """Rows ready for Newton's method: negated where y is 0, columns divided by their scale."""

    rows: Floats
    weights: Floats
    scales: Floats
    members: tuple[Integers, ...]

    @classmethod
    def of(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        weights: ArrayLike | None,
        groups: ArrayLike | None,
        deviation: float | None = None,
    ) -> _Design:
        """Check shapes and ranges, and scale columns.

        Args:
            deviation: of the prior of all weights; that of columns divided by their root mean
                square is 1 when None.
        """
        rows, labels = np.asarray(x, np.float64), np.asarray(y, np.float64)
        times = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)
        numbers = np.zeros(0, np.int64) if groups is None else np.asarray(groups)
        if rows.ndim != 2 or labels.shape != rows.shape[:1] or times.shape != labels.shape:
            raise ValueError(f"x {rows.shape}, y {labels.shape}, weights {times.shape} do not fit")
        if groups is not None and numbers.shape != labels.shape:
            raise ValueError(f"groups {numbers.shape} and y {labels.shape} do not fit")
        if not np.isfinite(rows).all() or not np.isin(labels, (0.0, 1.0)).all():
            raise ValueError("x must be finite, and y 0 or 1")
        if not (np.isfinite(times).all() and (times >= 0).all()):
            raise ValueError("weights must be finite and not negative")
        total = times.sum()
        scales = np.sqrt(times @ rows**2 / total) if total > 0 else np.zeros(rows.shape[1])
        # A property that never differs keeps its prior.
        scales = np.where(scales > 0, scales, 1.0)
        if deviation is not None:
            scales = np.full(rows.shape[1], 1 / deviation)
        members = tuple(
            np.flatnonzero(numbers == number) for number in range(int(numbers.max(initial=-1)) + 1)
        )
        return cls((2 * labels - 1)[:, None] * rows / scales, times, scales, members)

    def climb(self, t: float, start: Floats | None) -> tuple[Floats, Floats, float]:
        """Find mode, negative Hessian and Laplace's log evidence, by Newton's method."""
        size = self.rows.shape[1] * (1 + len(self.members))
        place = np.zeros(size) if start is None else start
        height = self.height(place, t)
        for _ in range(_STEPS):
            slope, hessian = self._slope(place, t)
            step = np.linalg.solve(hessian, slope)
            if float(slope @ step) < _TOLERANCE:
                break
            # The density is strictly concave, so halving a step until it climbs is enough.
            share = 1.0
            # Near the mode rounding can keep every step from climbing, so there is a least one.
            while (reached := self.height(place + share * step, t)) < height and share > 1e-6:
                share /= 2
            place, height = place + share * step, reached
        hessian = self._slope(place, t)[1]
        return place, hessian, height - 0.5 * float(np.linalg.slogdet(hessian)[1])

    def height(self, place: Floats, t: float) -> float:
        """Compute log likelihood plus log prior without the constant that the evidence cancels."""
        margins = self._margins(place, t)
        likelihood = -self.weights @ np.logaddexp(0.0, -margins)
        return float(likelihood - 0.5 * place @ place)

    def _margins(self, place: Floats, t: float) -> Floats:
        shared, *deviations = place.reshape(-1, self.rows.shape[1])
        margins = self.rows @ shared
        for members, deviation in zip(self.members, deviations, strict=True):
            margins[members] += t * (self.rows[members] @ deviation)
        return margins

    def _slope(self, place: Floats, t: float) -> tuple[Floats, Floats]:
        """Compute gradient `[d]` and negative Hessian `[d, d]` of the log joint density."""
        size = self.rows.shape[1]
        wrong = sigmoid(-self._margins(place, t))
        pull, curve = self.weights * wrong, self.weights * wrong * (1 - wrong)
        slope, hessian = -place, np.eye(len(place))
        slope[:size] += pull @ self.rows
        hessian[:size, :size] += (self.rows * curve[:, None]).T @ self.rows
        for number, members in enumerate(self.members, 1):
            group_part = slice(number * size, (number + 1) * size)
            rows = self.rows[members]
            block = (rows * curve[members, None]).T @ rows
            slope[group_part] += t * (pull[members] @ rows)
            hessian[group_part, group_part] += t * t * block
            hessian[:size, group_part] = t * block
            hessian[group_part, :size] = t * block
        return slope, hessian


def _posteriors(design: _Design, t: float) -> GroupedWeights:
    """Make posteriors from the joint mode of shared weights and deviations in units of t."""
    place, hessian, evidence = design.climb(t, None)
    covariance, size = np.linalg.inv(hessian), design.rows.shape[1]
    shared, both = slice(0, size), np.outer(design.scales, design.scales)

    def posterior(mean: NDArray[Any], spread: NDArray[Any], count: int) -> Weights:
        return Weights(mean / design.scales, spread / both, evidence, count)

    groups = []
    for number, members in enumerate(design.members, 1):
        group_part = slice(number * size, (number + 1) * size)
        crossed = covariance[shared, group_part]
        # Of a sum: both variances, and the covariance twice.
        sums = t * (crossed + crossed.T) + t * t * covariance[group_part, group_part]
        spread = covariance[shared, shared] + sums
        groups.append(posterior(place[shared] + t * place[group_part], spread, len(members)))
    whole = posterior(place[shared], covariance[shared, shared], len(design.rows))
    return GroupedWeights(whole, tuple(groups), t)


def _intervals(columns: list[Floats], count: int) -> tuple[Interval, ...]:
    """Make intervals from estimates, lower and upper ends, `[k]` each."""
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(Interval(estimate, low, high, count) for estimate, low, high in rows)


def _slice(
    away: Floats,
    other: Floats,
    ratio: Callable[[Floats], float],
    generator: np.random.Generator,
) -> Floats:
    """Take one step of elliptical slice sampling from `away`, on the ellipse through `other`."""
    level = ratio(away) + np.log(generator.random())
    angle = generator.random() * 2 * np.pi
    low, high = angle - 2 * np.pi, angle
    while True:
        proposed = away * np.cos(angle) + other * np.sin(angle)
        if ratio(proposed) > level:
            return proposed
        # The bracket shrinks to 0, where it is now and which is above the level: this ends.
        low, high = (angle, high) if angle < 0 else (low, angle)
        angle = low + generator.random() * (high - low)
