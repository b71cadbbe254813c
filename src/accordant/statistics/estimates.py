"""Intervals and tests for the numbers of a report.

Knows arrays of numbers, one per independent unit (prompt, pair, sequence). Knows nothing of where
they come from. All arithmetic is float64; whatever is random takes a seed. Where too little was
measured for an interval its ends are NaN, so that nothing is claimed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from accordant.statistics.arrays import Floats, Integers

LEVEL = 0.95
RESAMPLES = 4000
SEED = 20_260
FEW = 5  # wins or losses below which a bootstrap of outcomes says too little
_DRAWS_AT_ONCE = 1 << 21  # bounds the memory of a bootstrap, not its result
_BESIDE = 1e-9


class Drawing(TypedDict, total=False):
    """How a bootstrap is drawn: confidence level in (0, 1), bootstrap samples, and their seed."""

    level: float
    resamples: int
    seed: int


def to_floats(values: ArrayLike | Tensor, name: str) -> Floats:
    """Turn an array, list or tensor (any device or dtype) into a finite float64 vector `[n]`.

    Raises:
        ValueError: not one-dimensional, or not finite; the message says which entry.
    """
    if hasattr(values, "detach"):
        # numpy knows no bfloat16, so the tensor becomes float64 before it leaves torch.
        values = values.detach().cpu().double().numpy()
    floats = np.asarray(values, dtype=np.float64)
    if floats.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got the shape {floats.shape}")
    if not np.isfinite(floats).all():
        entry = int(np.flatnonzero(~np.isfinite(floats))[0])
        raise ValueError(f"{name} must be finite, entry {entry} is {floats[entry]}")
    return floats


def paired_floats(**given: ArrayLike | Tensor) -> tuple[Floats, Floats]:
    """Turn two vectors over the same units into finite float64 ones, `[n]` each.

    Raises:
        ValueError: as `to_floats`, or their lengths differ.
    """
    (name, first), (other, second) = ((k, to_floats(v, k)) for k, v in given.items())
    if first.shape != second.shape:
        raise ValueError(f"{name} {first.shape} and {other} {second.shape} differ in shape")
    return first, second


def wilson_interval(successes: float, count: int, level: float = LEVEL) -> Interval:
    """Compute Wilson's score interval of a proportion (Wilson 1927, Journal of the ASA 22).

    centre = (s + z^2 / 2) / (n + z^2); half-width = z / (n + z^2) * sqrt(s (n - s) / n + z^2 / 4).

    Args:
        successes: between 0 and `count`.
        count: trials; with none the interval is NaN.
        level: confidence level, in (0, 1).

    Raises:
        ValueError: `successes` is not between 0 and `count`.
    """
    _check_successes(successes, count)
    if count == 0:
        return Interval.unknown(0, level)
    # By hand and not scipy's, which takes whole successes: a tie counts half. That overstates its
    # spread, so the interval is on the safe side.
    z = normal_quantile(level)
    share = successes / count
    centre = (successes + z * z / 2) / (count + z * z)
    half = z / (count + z * z) * np.sqrt(count * share * (1 - share) + z * z / 4)
    # The clips only undo rounding at the ends, where the exact bound is the estimate itself.
    low = 0.0 if successes == 0 else min(max(centre - half, 0.0), share)
    high = 1.0 if successes == count else max(min(centre + half, 1.0), share)
    return Interval(share, float(low), float(high), count, level)


def clopper_pearson_interval(successes: int, count: int, level: float = LEVEL) -> Interval:
    """Return the exact interval of a proportion (Clopper and Pearson 1934, Biometrika 26).

    It covers the truth at least as often as `level` says, at any count, and is wider than Wilson's.
    Arguments and errors are those of `wilson_interval`, with whole successes.
    """
    from scipy.stats import binomtest

    _check_successes(successes, count)
    if count == 0:
        return Interval.unknown(0, level)
    low, high = binomtest(successes, count).proportion_ci(level, method="exact")
    return Interval(successes / count, float(low), float(high), count, level)


def _check_successes(successes: float, count: int) -> None:
    if not 0 <= successes <= count:
        raise ValueError(f"successes must lie in [0, {count}], got {successes}")


def proportion(outcomes: ArrayLike | Tensor, level: float = LEVEL) -> Interval:
    """Compute Wilson's interval of the mean of outcomes in [0, 1] (half is a tie), `[n]`."""
    floats = to_floats(outcomes, "outcomes")
    return wilson_interval(float(floats.sum()), len(floats), level)


def difference_of(first: Interval, second: Interval) -> Interval:
    """Derive the interval of first minus second from theirs, with the second's count.

    MOVER (Newcombe 1998, Statistics in Medicine 17, method 10; Zou and Donner 2008, the same 27).
    The two are taken as independent.
    """
    estimate = first.estimate - second.estimate
    below = math.hypot(first.estimate - first.low, second.high - second.estimate)
    above = math.hypot(first.high - first.estimate, second.estimate - second.low)
    return Interval(estimate, estimate - below, estimate + above, second.count, first.level)


def bootstrap_statistic(
    statistic: Callable[[Integers], Floats], count: int, **drawing: Unpack[Drawing]
) -> Interval:
    """Bootstrap any statistic of `count` units, drawn with replacement.

    The estimate is the statistic of all units, each once. With fewer than two units the interval is
    NaN, and without any the estimate is too.

    Args:
        statistic: from rows of unit numbers, int64 `[r, n]`, to one number each, `[r]`.
        count: independent units, n.
        drawing: level, resamples and seed.
    """
    level = drawing.get("level", LEVEL)
    if count == 0:
        return Interval.unknown(0, level)
    estimate = float(statistic(np.arange(count)[None])[0])
    if count == 1:
        return Interval(estimate, np.nan, np.nan, 1, level)
    generator = np.random.default_rng(drawing.get("seed", SEED))
    drawn = [
        statistic(generator.integers(0, count, (rows, count)))
        for rows in batches(drawing.get("resamples", RESAMPLES), count)
    ]
    return percentile_interval(estimate, np.concatenate(drawn), count, level=level)


def percentile_interval(
    estimate: float, drawn: Floats, count: int, *, level: float = LEVEL
) -> Interval:
    """Return the interval that resamples of a statistic give: what cuts their tails off.

    Resamples in which the statistic is not known (NaN) are left out. The interval is NaN with fewer
    than two units or known resamples, and where the estimate is.

    Args:
        estimate: the statistic of all units.
        drawn: of resamples of them, `[r]`.
        count: independent units.
        level: confidence level, in (0, 1).
    """
    known = drawn[np.isfinite(drawn)]
    if count < 2 or len(known) < 2 or np.isnan(estimate):
        return Interval(estimate, np.nan, np.nan, count, level)
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high), count, level)


def batches(resamples: int, size: int) -> Iterator[int]:
    """Part resamples of `size` numbers each into batches that fit into memory; yield their rows."""
    at_once = max(1, _DRAWS_AT_ONCE // size)
    for start in range(0, resamples, at_once):
        yield min(at_once, resamples - start)


def draw_sums(values: Floats, resamples: int, seed: int) -> Floats:
    """Draw sums over units drawn with replacement, for bootstraps of what follows from sums.

    Args:
        values: of every unit, `[n, ...]`.
        resamples: bootstrap samples, r.
        seed: seed of the draws.

    Returns:
        `[r, ...]`; zeros without units.
    """
    count, *rest = values.shape
    if count == 0:
        return np.zeros((resamples, *rest))
    generator = np.random.default_rng(seed)
    flat, chances = values.reshape(count, -1), np.full(count, 1 / count)
    # How often every unit is drawn: one product in place of picking rows out.
    sums = [
        generator.multinomial(count, chances, rows).astype(np.float64) @ flat
        for rows in batches(resamples, count)
    ]
    return np.concatenate(sums).reshape(resamples, *rest)


def bootstrap_sums(
    statistic: Callable[[Floats], Floats], values: Floats, **drawing: Unpack[Drawing]
) -> Interval:
    """Bootstrap a statistic of sums over units, `[r, k] -> [r]`, from each unit's, `[n, k]`."""
    level, count = drawing.get("level", LEVEL), len(values)
    if count == 0:
        return Interval.unknown(0, level)
    drawn = draw_sums(values, drawing.get("resamples", RESAMPLES), drawing.get("seed", SEED))
    estimate = float(statistic(values.sum(axis=0)[None])[0])
    return percentile_interval(estimate, statistic(drawn), count, level=level)


def bootstrap_ratio(
    numerators: ArrayLike | Tensor, denominators: ArrayLike | Tensor, **drawing: Unpack[Drawing]
) -> Interval:
    """Bootstrap sum(numerators) / sum(denominators) over units, `[n]` each.

    Units are drawn with replacement, numerator and denominator together (Efron and Tibshirani
    1993, chapter 13). With fewer than two units the interval is NaN.

    Args:
        numerators: such as the summed negative log-likelihood of every sequence.
        denominators: such as its tokens; positive.
        drawing: level, resamples and seed.
    """
    top, bottom = paired_floats(numerators=numerators, denominators=denominators)
    return bootstrap_statistic(
        lambda rows: top[rows].sum(1) / bottom[rows].sum(1), len(top), **drawing
    )


def bootstrap_mean(values: ArrayLike | Tensor, **drawing: Unpack[Drawing]) -> Interval:
    """Bootstrap the mean of `values`, one per unit, `[n]`."""
    floats = to_floats(values, "values")
    return bootstrap_ratio(floats, np.ones_like(floats), **drawing)


def bootstrap_median_of_means(values: ArrayLike, **drawing: Unpack[Drawing]) -> Interval:
    """Bootstrap the median, over settings, of each setting's mean over units.

    Units are drawn for all settings together: what makes a prompt hard or easy for all of them
    does not count as a difference between settings.

    Args:
        values: `[settings, units]`, the same units in the same order for every setting.
        drawing: level, resamples and seed.
    """
    grid = np.asarray(values, dtype=np.float64)

    def medians(rows: Integers) -> Floats:
        # One setting at a time: all at once would take as many times the memory.
        means = [setting[rows].mean(axis=1) for setting in grid]
        return np.asarray(np.median(means, axis=0), dtype=np.float64)

    return bootstrap_statistic(medians, grid.shape[1], **drawing)


def median_share(outcomes: ArrayLike, **drawing: Unpack[Drawing]) -> Interval:
    """Compute `bootstrap_median_of_means` of outcomes in [0, 1], `[settings, units]`.

    As in `win_rate`, a setting with fewer than five wins or five losses would make the bootstrap
    too sure of itself: Wilson's interval of the median share stands in for it.
    """
    grid = np.asarray(outcomes, dtype=np.float64)
    if min((grid == 1).sum(axis=1).min(), (grid == 0).sum(axis=1).min()) < FEW:
        units, level = grid.shape[1], drawing.get("level", LEVEL)
        return wilson_interval(float(np.median(grid.mean(axis=1))) * units, units, level)
    return bootstrap_median_of_means(grid, **drawing)


def paired_difference(
    before: ArrayLike | Tensor, after: ArrayLike | Tensor, **drawing: Unpack[Drawing]
) -> Interval:
    """Bootstrap the mean of `after - before`, both `[n]` over the same units.

    Pairing removes what units differ in from each other, which unpaired intervals would count.
    Where all differences are the same the ends are NaN.
    """
    old, new = paired_floats(before=before, after=after)
    difference = bootstrap_mean(new - old, **drawing)
    if difference.low == difference.high:
        # Equal values, as of 0 changes in 3, look certain to a bootstrap; others need not be equal.
        return replace(difference, low=np.nan, high=np.nan)
    return difference


def win_rate(outcomes: ArrayLike | Tensor, **drawing: Unpack[Drawing]) -> Interval:
    """Compute the mean of outcomes (win 1, tie 1/2, loss 0), `[n]`, with its interval over prompts.

    The interval is a bootstrap over prompts. With fewer than five wins or five losses a bootstrap
    hardly sees the rarer outcome (20 wins of 20 would give a width of zero), so Wilson's interval
    is given instead.
    """
    floats = to_floats(outcomes, "outcomes")
    if not np.isin(floats, (0.0, 0.5, 1.0)).all():
        raise ValueError("outcomes must be 0 (loss), 0.5 (tie) or 1 (win)")
    if min((floats == 1).sum(), (floats == 0).sum()) < FEW:
        return proportion(floats, drawing.get("level", LEVEL))
    return bootstrap_mean(floats, **drawing)


def sign_test(wins: int, losses: int) -> float:
    """Test, exactly and on both sides, that wins and losses are equally likely; ties are left out.

    p = min(1, 2 P(X <= min(wins, losses))) for X ~ Binomial(wins + losses, 1/2); 1 without any.
    """
    from scipy.stats import binom

    # Not `binomtest`, which sums every outcome as unlikely and takes ten times as long.
    return min(1.0, 2 * float(binom.cdf(min(wins, losses), wins + losses, 0.5)))


def area_under_curve(
    positive: ArrayLike | Tensor, negative: ArrayLike | Tensor, level: float = LEVEL
) -> Interval:
    """Compute P(positive > negative) + P(equal) / 2 over all pairs of the two samples.

    The estimate is the Mann-Whitney statistic over m n. The interval solves
    |estimate - a| = z sqrt(V(a)) for a, with Hanley and McNeil's variance in the form of Newcombe
    (2006, Statistics in Medicine 25, method 5):
    V(a) = a (1 - a) / (m n) (1 + N ((1 - a) / (2 - a) + a / (1 + a))), N = (m + n) / 2 - 1.
    It does not collapse when the samples are separated completely.

    Args:
        positive: scores that should be higher, `[m]`.
        negative: scores that should be lower, `[n]`; with none of either the result is NaN.
        level: confidence level, in (0, 1).
    """
    from scipy.optimize import brentq
    from scipy.stats import rankdata

    high, low = to_floats(positive, "positive"), to_floats(negative, "negative")
    m, n = len(high), len(low)
    if m == 0 or n == 0:
        return Interval.unknown(m + n, level)
    ranks = rankdata(np.concatenate([high, low]))
    area = float(ranks[:m].sum() - m * (m + 1) / 2) / (m * n)
    z, size = normal_quantile(level), (m + n) / 2 - 1

    def excess(a: float) -> float:
        spread = 1 + size * ((1 - a) / (2 - a) + a / (1 + a))
        return (area - a) ** 2 - z * z * a * (1 - a) / (m * n) * spread

    # `excess` is not negative at 0 and 1 and negative at the estimate, or, where that is 0 or 1
    # itself, right beside it.
    lower = 0.0 if area == 0 else brentq(excess, 0.0, min(area, 1 - _BESIDE))
    upper = 1.0 if area == 1 else brentq(excess, max(area, _BESIDE), 1.0)
    return Interval(area, float(lower), float(upper), m + n, level)


def normal_quantile(level: float) -> float:
    """Return z such that a standard normal lies within +-z with probability `level`."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    return NormalDist().inv_cdf((1 + level) / 2)
