"""Token trees and their packing: what sequences share at their beginning is laid out once.

Knows token ids and their order. Knows nothing of text, tokenizers, models or losses.

A packed row is a sequence of segments. A segment (a prompt or a part of it, or a continuation)
attends to itself causally and to all of its ancestors fully; its positions go on where its parent's
end. Nothing else is visible to it, so scores equal those of separate sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

# Neighbours that begin with at least so many equal tokens (a system prompt, the same question)
# share them; for fewer the extra attention block costs more than the tokens.
SHARED = 16
# Token of what only fills a row up; nothing is predicted from it.
FILLER = 0


@dataclass(frozen=True, slots=True)
class TokenTree:
    """A prompt and the continuations that share it (1 demonstration, 2 a pair, n a ranking).

    Args:
        prompt: token ids, at least one (the first continuation token is predicted from the last).
        continuations: token ids of each continuation, each at least one token long.

    Raises:
        ValueError: an empty prompt, no continuation, or an empty continuation.
    """

    prompt: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.prompt:
            raise ValueError("a token tree needs a prompt of at least one token")
        if not self.continuations or not all(self.continuations):
            raise ValueError("a token tree needs continuations of at least one token each")

    @property
    def num_tokens(self) -> int:
        """Count the tokens the tree takes in a packed row."""
        return len(self.prompt) + sum(len(c) for c in self.continuations)

    @property
    def num_apart(self) -> int:
        """Count the tokens of its sequences one by one, the prompt before every continuation."""
        return sum(len(self.prompt) + len(c) for c in self.continuations)

    @property
    def longest(self) -> int:
        """Count the tokens of its longest sequence."""
        return len(self.prompt) + max(len(c) for c in self.continuations)


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of consecutive tokens of a packed row.

    Args:
        start: index of its first token in the row.
        length: tokens, at least 1.
        parent: index of the parent segment in the row (smaller than its own), -1 for a root.
        position: position id of its first token.
    """

    start: int
    length: int
    parent: int
    position: int

    @property
    def end(self) -> int:
        """Index one past its last token in the row."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class PackedRow:
    """Token trees laid out in one row.

    Args:
        tokens: token ids of the row.
        positions: position id of every token.
        ends: one past the last token that sees this one, of every token: token q sees token k where
            `k <= q < ends[k]`.
        segments: the runs of trees the row is made of, depth first.
        continuations: index of the segment of every continuation, tree by tree, in order.
        trees: index of the tree (within this row) that every continuation belongs to.
    """

    tokens: tuple[int, ...]
    positions: tuple[int, ...]
    ends: tuple[int, ...]
    segments: tuple[Segment, ...]
    continuations: tuple[int, ...]
    trees: tuple[int, ...]

    @property
    def num_targets(self) -> int:
        """Tokens that are predicted: all continuation tokens."""
        return sum(self.segments[i].length for i in self.continuations)

    def sources(self, index: int) -> tuple[int, ...]:
        """Return the token that predicts each token of segment `index`: what stands before it."""
        segment = self.segments[index]
        return (self.segments[segment.parent].end - 1, *range(segment.start, segment.end - 1))

    def prompt(self, index: int) -> tuple[int, ...]:
        """Return where the tokens before segment `index` stand: those of all its ancestors."""
        parent = self.segments[index].parent
        if parent < 0:
            return ()
        segment = self.segments[parent]
        return (*self.prompt(parent), *range(segment.start, segment.end))


def pack_row(trees: Sequence[TokenTree]) -> PackedRow:
    """Lay `trees` out in a single row; what the prompts of neighbours share is laid out once.

    Args:
        trees: at least one.
    """
    row = _Row()
    _lay_out(row, trees, range(len(trees)), used=0, parent=-1)
    return PackedRow(
        tuple(row.tokens),
        tuple(row.positions),
        subtree_ends(row.segments),
        tuple(row.segments),
        tuple(row.continuations),
        tuple(row.trees),
    )


def subtree_ends(segments: Sequence[Segment]) -> tuple[int, ...]:
    """Return for every token of `segments`, which stand depth first, where its subtree ends."""
    ends = [segment.end for segment in segments]
    for index in reversed(range(len(segments))):
        parent = segments[index].parent
        if parent >= 0:
            ends[parent] = max(ends[parent], ends[index])
    runs = zip(ends, segments, strict=True)
    return tuple(end for end, segment in runs for _ in range(segment.length))


def fill_row(row: PackedRow, length: int) -> PackedRow:
    """Fill `row` up to `length` tokens, with tokens that see themselves alone."""
    first = len(row.tokens)
    spare = (0,) * (length - first)
    return replace(
        row,
        tokens=row.tokens + (FILLER,) * len(spare),
        positions=row.positions + spare,
        ends=row.ends + tuple(range(first + 1, length + 1)),
    )


def _lay_out(row: _Row, trees: Sequence[TokenTree], places: range, used: int, parent: int) -> None:
    """Lay out neighbours whose first `used` prompt tokens end with the segment `parent`."""
    start = places.start
    while start < places.stop:
        prompt = trees[start].prompt
        if len(prompt) == used:
            for continuation in trees[start].continuations:
                row.continuations.append(row.append(continuation, parent))
                row.trees.append(start)
            start += 1
            continue
        stop, shared = _neighbours(trees, range(start, places.stop), used)
        segment = row.append(prompt[used:shared], parent)
        _lay_out(row, trees, range(start, stop), shared, segment)
        start = stop


def _neighbours(trees: Sequence[TokenTree], places: range, used: int) -> tuple[int, int]:
    """Return where the trees end that share tokens with the first of `places`, and up to where.

    Each shares at least `SHARED` tokens behind the first `used`. A tree that shares with none is
    alone with its whole prompt.
    """
    first = trees[places.start].prompt
    shared, stop = len(first), places.start + 1
    while stop < places.stop:
        common = _common(first, trees[stop].prompt, used, shared)
        if common < used + SHARED:
            break
        shared, stop = common, stop + 1
    return stop, shared


def _common(first: tuple[int, ...], second: tuple[int, ...], used: int, limit: int) -> int:
    """Return up to where two prompts are equal, which their first `used` tokens are known to be."""
    end = min(limit, len(second))
    if first[used:end] == second[used:end]:
        return end
    return next(place for place in range(used, end) if first[place] != second[place])


@dataclass(slots=True)
class _Row:
    """A row being laid out."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    continuations: list[int] = field(default_factory=list)
    trees: list[int] = field(default_factory=list)

    def append(self, run: Sequence[int], parent: int) -> int:
        """Put `run` behind its parent's last token and return the index of its segment."""
        before = self.segments[parent] if parent >= 0 else Segment(0, 0, -1, 0)
        position = before.position + before.length
        self.segments.append(Segment(len(self.tokens), len(run), parent, position))
        self.tokens.extend(run)
        self.positions.extend(range(position, position + len(run)))
        return len(self.segments) - 1


def plan_rows(sizes: Sequence[int], budget: int) -> list[list[int]]:
    """Group consecutive trees into rows of at most `budget` tokens, keeping their order.

    A tree longer than the budget gets a row of its own: dropping it would be silent, and splitting
    it would change its scores.

    Args:
        sizes: tokens of every tree.
        budget: tokens a row may hold, at least 1.

    Returns:
        for every row the indices of its trees; every index appears exactly once.
    """
    rows: list[list[int]] = []
    used = 0
    for index, size in enumerate(sizes):
        if not rows or used + size > budget:
            rows.append([])
            used = 0
        rows[-1].append(index)
        used += size
    return rows
