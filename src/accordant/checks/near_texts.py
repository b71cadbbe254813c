"""Texts that are nearly the same, found among many without comparing all with all.

Knows words and sets. Knows nothing of records or checks. A text is the set of its runs of five
words; likeness is the share of runs that two texts have in common among those that either has
(Jaccard). Nothing is missed and nothing guessed: candidates share one of their rarest runs, as all
pairs that are alike must (Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and Srikant 2007), and
every one of them is compared.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

RUN = 5  # words, as in Lee et al. 2022 (arXiv:2107.06499)
_ODD = np.uint64(0x9E3779B97F4A7C15)
# Scripts written without blanks: every sign is a word.
_WORD = re.compile(r"[぀-ヿ㐀-鿿豈-﫿가-힯]|[^\W_]+")


@dataclass(frozen=True, slots=True)
class Near:
    """Two texts by their places, `first` < `second`, and the share of runs they have in common."""

    first: int
    second: int
    similarity: float


def split_words(text: str) -> list[str]:
    """Split a text into words in small letters, without punctuation."""
    return _WORD.findall(text.lower())


def runs_of(text: str) -> Hashes:
    """Hash the runs of five words in a text, sorted, each once; of a shorter text, itself."""
    words = np.array([zlib.crc32(word.encode()) for word in split_words(text)], dtype=np.uint64)
    length = min(RUN, len(words))
    count = len(words) - length + 1
    runs = np.zeros(count, dtype=np.uint64)
    # Hashes wrap around, which is what they are made of and numpy would warn of.
    with np.errstate(over="ignore"):
        for place in range(length):
            runs = (runs ^ (words[place : place + count] + np.uint64(0x51ED270B))) * _ODD
            runs ^= runs >> np.uint64(31)
    return np.unique(runs)


def similarity_of(first: Hashes, second: Hashes) -> float:
    """Compute the Jaccard similarity of two sets of runs."""
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)


def near_pairs(texts: Sequence[str], least: float, *, beside: int | None = None) -> list[Near]:
    """Find pairs of texts whose similarity is at least `least`, in order.

    Equal texts are pairs with similarity 1 as well; of many equal texts each is paired with the
    first alone.

    Args:
        texts: any number of texts.
        least: in (0, 1].
        beside: where given, only pairs of a text before this place with one from it on.
    """
    runs = [runs_of(text) for text in texts]
    firsts: dict[tuple[bool, bytes], int] = {}
    pairs, alone = [], []
    for place, hashes in enumerate(runs):
        later, key = beside is not None and place >= beside, hashes.tobytes()
        # A text of the second side that equals one of the first side is paired with it.
        first = firsts.get((False, key)) if later else None
        if first is None:
            first = firsts.setdefault((later, key), place)
        if first == place:
            alone.append(place)
        elif beside is None or first < beside <= place:
            pairs.append(Near(first, place, 1.0))
    for first, second in _candidates(runs, alone, least):
        if beside is None or first < beside <= second:
            share = similarity_of(runs[first], runs[second])
            if share >= least:
                pairs.append(Near(first, second, share))
    return sorted(pairs, key=lambda near: (near.first, near.second))


def _candidates(
    runs: Sequence[Hashes], places: Sequence[int], least: float
) -> Iterator[tuple[int, int]]:
    """Yield pairs of these places, rising, that may be alike; each once."""
    everything = np.concatenate([np.zeros(0, np.uint64), *(runs[place] for place in places)])
    known, counts = np.unique(everything, return_counts=True)
    texts_with: dict[int, list[int]] = defaultdict(list)
    for place in places:
        hashes = runs[place]
        # Alike texts share at least `least` of the runs of either, so that they cannot do without
        # one of these; the rarest are taken, as what many texts share finds too many candidates.
        rarest = hashes[np.argsort(counts[np.searchsorted(known, hashes)], kind="stable")]
        # Before it is rounded up: 0.07 of 100 runs is 7.000000000000001 of them to a float.
        needed = rarest[: len(hashes) - math.ceil(least * len(hashes) - 1e-9) + 1].tolist()
        for earlier in {other for run in needed for other in texts_with[run]}:
            shorter, longer = sorted((len(runs[earlier]), len(hashes)))
            if shorter >= least * longer:
                yield earlier, place
        for run in needed:
            texts_with[run].append(place)
