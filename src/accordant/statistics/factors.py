"""What is preferred factor by factor, and how far two who prefer order the factors alike.

Knows signs: which of two answers has more of a factor, and which was preferred. Knows nothing of
texts, people or models. After Oh et al. (2024, PROFILE). All arithmetic is float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accordant.statistics.estimates import (
    LEVEL,
    SEED,
    draw_sums,
    percentile_interval,
    sign_test,
    wilson_interval,
)
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from accordant.statistics.arrays import Flags, Floats, Integers

RESAMPLES = 2000
_FEW = 5  # units on one side below which a bootstrap says too little


@dataclass(frozen=True, slots=True, eq=False)
class FactorScores:
    """What one who prefers thinks of every factor.

    Args:
        scores: tau_f = (concordant - discordant) / (concordant + discordant) of every factor, in
            [-1, 1], with a bootstrap interval over units; `count` is the units that say something.
            NaN where none does. With fewer than five units on one side, which a bootstrap hardly
            sees, the interval is Wilson's.
        ties: share of pairs that say nothing of a factor, as both answers have as much of it or
            neither is preferred, `[k]`. tau_f times (1 - ties) is the score with ties in the
            denominator.
        p_values: exact sign test over units that a factor is neither preferred nor avoided, `[k]`.
    """

    scores: tuple[Interval, ...]
    ties: Floats
    p_values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class FactorComparison:
    """Two who prefer, on the same pairs.

    Args:
        first: scores of the one.
        second: scores of the other.
        differences: second minus first, with a bootstrap interval over units.
        p_values: exact sign test over units that the two do not differ, `[k]`: of the pairs on
            which they disagree, each sides as often for a factor as against it (McNemar's test).
        agreement: Kendall's tau-b of the two orders of factors. Its interval is a bootstrap; as
            resampled orders are noisier than the one that was found, it leans toward 0.
    """

    first: FactorScores
    second: FactorScores
    differences: tuple[Interval, ...]
    p_values: Floats
    agreement: Interval


def score_factors(
    differences: ArrayLike,
    preferred: ArrayLike,
    units: ArrayLike | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> FactorScores:
    """Score every factor.

    Args:
        differences: `[n, k]`; its sign says whether the first answer of a pair has more of a
            factor.
        preferred: `[n]`; its sign says whether the first answer is preferred; 0 is a tie.
        units: what pairs belong together, such as those of one ranking, int `[n]`; they are drawn
            together, and a sign test counts them once. None for every pair on its own.
        resamples: bootstrap samples of units.
        seed: of the draws.

    Raises:
        ValueError: the shapes do not fit.
    """
    signs, sides, numbers = _checked(differences, preferred, units)
    sums = _sums(signs * sides[:, None], numbers)
    return _scores(sums, draw_sums(sums, resamples, seed), len(signs))


def compare_factors(
    differences: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    units: ArrayLike | None = None,
    *,
    ordered: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> FactorComparison:
    """Score two who prefer, their differences, and how far they order the factors alike.

    Args:
        differences: as in `score_factors`.
        first: `[n]`, what the one prefers, as `preferred` in `score_factors`.
        second: `[n]`, what the other prefers.
        units: as in `score_factors`, like `resamples` and `seed`.
        ordered: bool `[k]`, the factors whose order is compared; None for all.
        resamples: the same for all numbers.
        seed: of the draws.
    """
    signs, left, numbers = _checked(differences, first, units)
    _, right, _ = _checked(differences, second, units)
    both = [_sums(signs * sides[:, None], numbers) for sides in (left, right)]
    factors = signs.shape[1]
    drawn = draw_sums(np.hstack(both), resamples, seed)
    halves = drawn[:, : 2 * factors], drawn[:, 2 * factors :]
    taus = [_taus(sums.sum(axis=0)[None])[0] for sums in both]
    resampled = [_taus(half) for half in halves]
    kept = np.ones(factors, bool) if ordered is None else np.asarray(ordered, bool)
    # A pair on which the two agree, or of which either says nothing, tells no difference.
    disagreed = np.where(left * right < 0, right, 0.0)
    counts = [min(pair) for pair in zip(*map(_counts, both), strict=True)]
    return FactorComparison(
        _scores(both[0], halves[0], len(signs)),
        _scores(both[1], halves[1], len(signs)),
        _intervals(taus[1] - taus[0], resampled[1] - resampled[0], counts),
        _sign_tests(_sums(signs * disagreed[:, None], numbers)),
        _agreement(taus, resampled, kept),
    )


def kendall_tau(first: ArrayLike, second: ArrayLike) -> Floats:
    """Compute Kendall's tau-b of two orders of things, over the last axis, `[..., k] -> [...]`.

    (concordant - discordant) / sqrt((pairs not tied in first) (pairs not tied in second)); NaN
    where one of the two ties everywhere.
    """
    floats = [np.asarray(values, np.float64) for values in (first, second)]
    left, right = (np.sign(f[..., :, None] - f[..., None, :]) for f in floats)
    pairs = ((left, right), (left, left), (right, right))
    both, in_first, in_second = ((a * b).sum(axis=(-2, -1)) for a, b in pairs)
    free = in_first * in_second
    return np.where(free > 0, both / np.sqrt(np.where(free > 0, free, 1.0)), np.nan)


def _checked(
    differences: ArrayLike, preferred: ArrayLike, units: ArrayLike | None
) -> tuple[Floats, Floats, Integers]:
    signs = np.sign(np.asarray(differences, np.float64))
    sides = np.sign(np.asarray(preferred, np.float64))
    numbers = np.arange(len(signs)) if units is None else np.unique(units, return_inverse=True)[1]
    shapes = signs.shape, sides.shape, numbers.shape
    if signs.ndim != 2 or shapes[1:] != (signs.shape[:1],) * 2:
        raise ValueError("differences {}, preferences {} and units {} do not fit".format(*shapes))
    return signs, sides, numbers.astype(np.int64)


def _sums(outcomes: Floats, units: Integers) -> Floats:
    """Sum concordant minus discordant pairs of every unit, then their number, `[u, 2 k]`."""
    columns = np.hstack([outcomes, np.abs(outcomes)])
    sums = np.zeros((int(units.max(initial=-1)) + 1, columns.shape[1]))
    np.add.at(sums, units, columns)
    return sums


def _counts(sums: Floats) -> list[int]:
    """Count the units that say something of each factor, `[k]`."""
    return [int(count) for count in (sums[:, sums.shape[1] // 2 :] > 0).sum(axis=0)]


def _taus(totals: Floats) -> Floats:
    """Compute scores from summed units, `[r, 2 k] -> [r, k]`; NaN where nothing was said."""
    factors = totals.shape[1] // 2
    net, spoken = totals[:, :factors], totals[:, factors:]
    return np.where(spoken > 0, net / np.where(spoken > 0, spoken, 1.0), np.nan)


def _scores(sums: Floats, drawn: Floats, pairs: int) -> FactorScores:
    factors = sums.shape[1] // 2
    total = sums.sum(axis=0)
    scores = _intervals(_taus(total[None])[0], _taus(drawn), _counts(sums))
    nets, spoken = sums[:, :factors].T, sums[:, factors:].T
    return FactorScores(
        tuple(map(_widen, scores, nets, spoken)),
        1 - total[factors:] / max(pairs, 1),
        _sign_tests(sums),
    )


def _widen(score: Interval, net: Floats, spoken: Floats) -> Interval:
    """Give Wilson's interval where few units are concordant, or few are discordant."""
    if score.count == 0 or min((net > 0).sum(), (net < 0).sum()) >= _FEW:
        return score
    # Pairs of a ranking share one vote: a unit that is split counts by its share.
    there = spoken > 0
    wins = float(((1 + net[there] / spoken[there]) / 2).sum())
    share = wilson_interval(min(wins, score.count), score.count, LEVEL)
    low, high = min(2 * share.low - 1, score.estimate), max(2 * share.high - 1, score.estimate)
    return Interval(score.estimate, low, high, score.count, LEVEL)


def _intervals(estimates: Floats, drawn: Floats, counts: list[int]) -> tuple[Interval, ...]:
    """Make percentile intervals; a resample without anything said of a factor is left out."""
    return tuple(
        percentile_interval(float(estimates[place]), drawn[:, place], count)
        for place, count in enumerate(counts)
    )


def _sign_tests(sums: Floats) -> Floats:
    """Test every factor, over units that are for it and against it; a unit counts once."""
    net = np.sign(sums[:, : sums.shape[1] // 2])
    tests = [sign_test(int((side > 0).sum()), int((side < 0).sum())) for side in net.T]
    return np.array(tests, np.float64)


def _agreement(taus: list[Floats], resampled: list[Floats], kept: Flags) -> Interval:
    count = int(kept.sum())
    if count < 2:
        return Interval.unknown(count, LEVEL)
    estimate = float(kendall_tau(taus[0][kept], taus[1][kept]))
    drawn = kendall_tau(np.nan_to_num(resampled[0][:, kept]), np.nan_to_num(resampled[1][:, kept]))
    return percentile_interval(estimate, drawn, count)
