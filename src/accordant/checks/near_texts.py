"""Texts that are nearly the same, found among many without comparing all with all.

Knows words and sets. Knows nothing of records or checks. A text is the set of its runs of five
words; likeness is the share of runs that two texts have in common among those that either has
(Jaccard). Candidates come from MinHash signatures cut into bands (Broder 1997; Leskovec et al.,
"Mining of massive datasets", chapter 3), and every one of them is then compared exactly, so what is
returned is never a guess; what is missed is one in a thousand at the similarity asked for.
"""

from __future__ import annotations

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
HASHES = 128
RECALL = 0.999
_SEED = 20_260
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
    words = split_words(text)
    hashes = np.array([zlib.crc32(word.encode()) for word in words], dtype=np.uint64)
    if len(words) <= RUN:
        return np.array([_mix(hashes)], dtype=np.uint64)
    count = len(words) - RUN + 1
    runs = np.zeros(count, dtype=np.uint64)
    for place in range(RUN):
        runs = _step(runs, hashes[place : place + count])
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
    firsts = _firsts(runs, beside)
    pairs = [Near(first, place, 1.0) for place, first in firsts.items() if first != place]
    alone = [place for place, first in firsts.items() if first == place]
    for i, j in _candidates([runs[place] for place in alone], least):
        first, second = sorted((alone[i], alone[j]))
        if beside is not None and not first < beside <= second:
            continue
        share = similarity_of(runs[first], runs[second])
        if share >= least:
            pairs.append(Near(first, second, share))
    return sorted(pairs, key=lambda near: (near.first, near.second))


def _firsts(runs: Sequence[Hashes], beside: int | None) -> dict[int, int]:
    """Find for every text the first with the same runs; each side of `beside` keeps its own.

    A text of the second side that equals one of the first side is paired with it.
    """
    seen: dict[tuple[bool, bytes], int] = {}
    firsts = {}
    for place, hashes in enumerate(runs):
        later, key = beside is not None and place >= beside, hashes.tobytes()
        if later and (False, key) in seen:
            firsts[place] = seen[False, key]
        else:
            firsts[place] = seen.setdefault((later, key), place)
    if beside is None:
        return firsts
    # Within a side equal texts are no pair.
    return {
        place: first
        for place, first in firsts.items()
        if first == place or (first < beside) != (place < beside)
    }


def _candidates(runs: Sequence[Hashes], least: float) -> Iterator[tuple[int, int]]:
    """Yield pairs whose signatures agree in a band; each once."""
    signatures = (
        np.stack([_signature(hashes) for hashes in runs]) if runs else np.zeros((0, HASHES))
    )
    rows = _rows_per_band(least)
    seen: set[tuple[int, int]] = set()
    for start in range(0, HASHES - rows + 1, rows):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for place, signature in enumerate(signatures):
            buckets[signature[start : start + rows].tobytes()].append(place)
        for members in buckets.values():
            for at, i in enumerate(members):
                for j in members[at + 1 :]:
                    if (i, j) not in seen:
                        seen.add((i, j))
                        yield i, j


def _rows_per_band(least: float) -> int:
    """Return the most hashes a band may have to find a pair at `least` with probability RECALL."""
    fits = [
        rows for rows in range(1, HASHES + 1) if 1 - (1 - least**rows) ** (HASHES // rows) >= RECALL
    ]
    return max(fits, default=1)


def _signature(runs: Hashes) -> Hashes:
    """Take the smallest value of every hash function over the runs, `[HASHES]`."""
    with np.errstate(over="ignore"):
        mixed = (runs[None, :] ^ _KEYS[:, None]) * _ODD
        mixed ^= mixed >> np.uint64(29)
        mixed *= _FACTORS[:, None]
        mixed ^= mixed >> np.uint64(32)
    smallest: Hashes = mixed.min(axis=1)
    return smallest


def _step(state: Hashes, word: Hashes) -> Hashes:
    """Hash what was read so far and the next word."""
    with np.errstate(over="ignore"):
        mixed: Hashes = (state ^ (word + np.uint64(0x51ED270B))) * _ODD
        return mixed ^ (mixed >> np.uint64(31))


def _mix(words: Hashes) -> np.uint64:
    state = np.zeros(1, dtype=np.uint64)
    for word in words:
        state = _step(state, word[None])
    return np.uint64(state[0])


def _draw(count: int) -> Hashes:
    # Odd factors: multiplying by them modulo 2^64 loses nothing.
    numbers = np.random.default_rng(_SEED).integers(0, 2**63, count, dtype=np.uint64)
    return numbers * np.uint64(2) + np.uint64(1)


_KEYS, _FACTORS = _draw(2 * HASHES)[:HASHES], _draw(2 * HASHES)[HASHES:]
