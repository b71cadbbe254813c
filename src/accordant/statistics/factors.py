"""What is preferred factor by factor, and how far two who prefer order the factors alike.

Knows signs: which of two answers has more of a factor, and which was preferred. Knows nothing of
texts, people or models. After Oh et al. (2024, PROFILE). All arithmetic is float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accordant.statistics.arrays import ratios
from accordant.statistics.estimates import (
    FEW,
    SEED,
    draw_sums,
    percentile_interval,
    sign_test,
    wilson_interval,
)
from accordant.statistics.interval import Interval
from accordant.statistics.rank_correlation import kendall_tau

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from accordant.statistics.arrays import Flags, Floats, Integers

RESAMPLES = 2000


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
) -> FactorScores:
    """Score every factor.

    Args:
        differences: `[n, k]`; its sign says whether the first answer of a pair has more of a
            factor.
        preferred: `[n]`; its sign says whether the first answer is preferred; 0 is a tie.
        units: what pairs belong together, such as those of one ranking, int `[n]`; they are drawn
            together, and a sign test counts them once. None for every pair on its own.
        resamples: bootstrap samples of units.

    Raises:
        ValueError: the shapes do not fit.
    """
    outcomes, numbers = _outcomes(differences, preferred, units)
    sums = _sum_units(outcomes, numbers)
    return _scores(sums, draw_sums(sums, resamples, SEED), len(outcomes))


def compare_factors(
    differences: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    units: ArrayLike | None = None,
    *,
    ordered: ArrayLike | None = None,
    resamples: int = RESAMPLES,
) -> FactorComparison:
    """Score two who prefer, their differences, and how far they order the factors alike.

    Args:
        differences: as in `score_factors`, like `units` and `resamples`.
        first: `[n]`, what the one prefers, as `preferred` in `score_factors`.
        second: `[n]`, what the other prefers.
        units: as said.
        ordered: bool `[k]`, the factors whose order is compared; None for all.
        resamples: the same for all numbers.
    """
    left, numbers = _outcomes(differences, first, units)
    right, _ = _outcomes(differences, second, units)
    both = [_sum_units(outcomes, numbers) for outcomes in (left, right)]
    pairs, factors = left.shape
    # One draw of units for both: what they share does not count as a difference between them.
    drawn = np.split(draw_sums(np.hstack(both), resamples, SEED), 2, axis=1)
    taus = [_taus(sums.sum(axis=0)[None])[0] for sums in both]
    resampled = [_taus(half) for half in drawn]
    kept = np.ones(factors, bool) if ordered is None else np.asarray(ordered, bool)
    # A pair on which the two agree, or of which either says nothing, tells no difference.
    disagreed = np.where(left * right < 0, right, 0.0)
    counts = np.minimum(*map(_counts, both))
    return FactorComparison(
        _scores(both[0], drawn[0], pairs),
        _scores(both[1], drawn[1], pairs),
        _intervals(taus[1] - taus[0], resampled[1] - resampled[0], counts),
        _sign_tests(_sum_units(disagreed, numbers)),
        _agreement(taus, resampled, kept),
    )


def _outcomes(
    differences: ArrayLike, preferred: ArrayLike, units: ArrayLike | None
) -> tuple[Floats, Integers]:
    """Return 1 where a pair is for a factor, -1 against it, `[n, k]`, and its unit, `[n]`."""
    signs, sides = (np.sign(np.asarray(given, np.float64)) for given in (differences, preferred))
    numbers = np.arange(len(signs)) if units is None else np.unique(units, return_inverse=True)[1]
    shapes = signs.shape, sides.shape, numbers.shape
    if signs.ndim != 2 or shapes[1:] != (signs.shape[:1],) * 2:
        raise ValueError("differences {}, preferences {} and units {} do not fit".format(*shapes))
    return signs * sides[:, None], numbers.astype(np.int64)


def _sum_units(outcomes: Floats, units: Integers) -> Floats:
    """Sum concordant minus discordant pairs of every unit, then their number, `[u, 2 k]`."""
    columns = np.hstack([outcomes, np.abs(outcomes)])
    sums = np.zeros((int(units.max(initial=-1)) + 1, columns.shape[1]))
    # Not `sums[units] +=`, which adds one row of those with the same unit.
    np.add.at(sums, units, columns)
    return sums


def _counts(sums: Floats) -> Integers:
    """Count the units that say something of each factor, `[k]`."""
    counts: Integers = (np.hsplit(sums, 2)[1] > 0).sum(axis=0)
    return counts


def _taus(totals: Floats) -> Floats:
    """Compute scores from summed units, `[r, 2 k] -> [r, k]`; NaN where nothing was said."""
    net, spoken = np.hsplit(totals, 2)
    return ratios(net, spoken)


def _scores(sums: Floats, drawn: Floats, pairs: int) -> FactorScores:
    nets, spoken = np.hsplit(sums, 2)
    scores = _intervals(_taus(sums.sum(axis=0)[None])[0], _taus(drawn), _counts(sums))
    ties = 1 - spoken.sum(axis=0) / max(pairs, 1)
    return FactorScores(tuple(map(_widen, scores, nets.T, spoken.T)), ties, _sign_tests(sums))


def _widen(score: Interval, net: Floats, spoken: Floats) -> Interval:
    """Give Wilson's interval where few units are concordant, or few are discordant."""
    if score.count == 0 or min((net > 0).sum(), (net < 0).sum()) >= FEW:
        return score
    # Pairs of a ranking share one vote: a unit that is split counts by its share.
    there = spoken > 0
    wins = float(((1 + net[there] / spoken[there]) / 2).sum())
    share = wilson_interval(min(wins, score.count), score.count)
    low, high = min(2 * share.low - 1, score.estimate), max(2 * share.high - 1, score.estimate)
    return Interval(score.estimate, low, high, score.count)


def _intervals(estimates: Floats, drawn: Floats, counts: Integers) -> tuple[Interval, ...]:
    """Make percentile intervals; a resample without anything said of a factor is left out."""
    columns = zip(estimates.tolist(), drawn.T, counts.tolist(), strict=True)
    return tuple(percentile_interval(*column) for column in columns)


def _sign_tests(sums: Floats) -> Floats:
    """Test every factor, over units that are for it and against it; a unit counts once."""
    nets = np.hsplit(sums, 2)[0].T
    tests = [sign_test(int((net > 0).sum()), int((net < 0).sum())) for net in nets]
    return np.array(tests, np.float64)


def _agreement(taus: list[Floats], resampled: list[Floats], kept: Flags) -> Interval:
    count = int(kept.sum())
    if count < 2:
        return Interval.unknown(count)
    estimate = float(kendall_tau(taus[0][kept], taus[1][kept]))
    # A factor that nobody in a resample speaks of stands in the middle of its order.
    drawn = kendall_tau(*(np.nan_to_num(half[:, kept]) for half in resampled))
    return percentile_interval(estimate, drawn, count)
