"""What choosing the best of several answers gives, and what it costs in divergence.

Knows numbers: scores of the answers to one prompt, all drawn alike. Knows nothing of models, texts
or judges. Best of k needs no training, so it is what a trained model is held against: whoever
spends more divergence than it for the same approval has spent it on something else. All arithmetic
is float64 over exact binomials; averages are over every subset, none is drawn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from accordant.statistics.arrays import Floats


def best_of_divergence(count: int) -> float:
    """Bound the KL of the best of `count` answers from one: log k - (k - 1) / k, nats.

    It is exact where no answer is drawn twice (Stiennon et al. 2020) and an upper bound
    else (Beirami et al. 2024).
    """
    if count < 1:
        raise ValueError(f"the best of {count} answers is none")
    return math.log(count) - (count - 1) / count


def chances(scores: ArrayLike) -> Floats:
    """Return the chance that each answer beats another one of the same prompt, ties half, `[n]`.

    Args:
        scores: of n >= 2 answers, `[n]`; higher is better, infinities are allowed.
    """
    from scipy.stats import rankdata

    # A mean rank counts the answers below, half of those that tie, and the answer itself.
    ranks: Floats = rankdata(np.asarray(scores, np.float64))
    return (ranks - 1) / (len(ranks) - 1)


def win_rate_over(scores: ArrayLike, others: ArrayLike) -> float:
    """Share of pairs (one of `scores`, one of `others`) that the first wins, ties half."""
    ours = np.asarray(scores, dtype=np.float64)[:, None]
    theirs = np.asarray(others, dtype=np.float64)[None]
    return float(((ours > theirs) + 0.5 * (ours == theirs)).mean())


def best_of_win_rates(scores: ArrayLike) -> Floats:
    """Return the chance that the best of k beats one more, ties half, for k = 1 to n - 1.

    With e of the other n - 1 scores at most s, and b below it, the best of k of them is at most s
    with chance C(e, k) / C(n - 1, k): unbiased, averaged over all further answers s.

    Args:
        scores: of n >= 2 answers to one prompt, `[n]`; infinities are allowed.

    Returns:
        `[n - 1]`; the first entry is 1/2.
    """
    values = np.asarray(scores, dtype=np.float64)
    rest = len(values) - 1
    wins = np.zeros(rest)
    for score in values:
        below = int((values < score).sum())
        at_most = int((values <= score).sum()) - 1
        # Whole numbers throughout: binomials of a hundred answers lose digits as floats.
        for k in range(1, rest + 1):
            total = math.comb(rest, k)
            # A tie is half a win: the mean of the chances to be at most it and below it.
            wins[k - 1] += 1 - (math.comb(at_most, k) + math.comb(below, k)) / (2 * total)
    return wins / len(values)


def selected(proxy: ArrayLike, worth: ArrayLike) -> Floats:
    """Estimate the worth of the answer with the highest proxy among k, for k = 1 to n.

    In ascending order of the proxy the i-th answer (from 1) is the best of k drawn ones with chance
    C(i - 1, k - 1) / C(n, k). Answers with equal proxies share their worth.

    Args:
        proxy: what is chosen by, `[n]`.
        worth: what is got, `[n]`.
    """
    by, value = np.asarray(proxy, dtype=np.float64), np.asarray(worth, dtype=np.float64)
    # Which of several equal ones is taken is a coin: each is worth their mean.
    _, group = np.unique(by, return_inverse=True)
    shared = np.bincount(group, weights=value) / np.bincount(group)
    ordered = shared[np.sort(group)]
    count = len(ordered)
    return np.array(
        [
            sum(math.comb(i, k - 1) * ordered[i] for i in range(count)) / math.comb(count, k)
            for k in range(1, count + 1)
        ]
    )
