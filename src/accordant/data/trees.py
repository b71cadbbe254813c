"""Token trees and their packing: a prompt is laid out once for all its continuations.

Knows token ids and their order. Knows nothing of text, tokenizers, models or losses.

A packed row is a sequence of segments. A segment (a prompt, or a continuation) attends to itself
causally and to all of its ancestors fully; its positions go on where its parent's end. Nothing else
is visible to it, so scores equal those of separate sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
        """Tokens the tree takes in a packed row."""
        return len(self.prompt) + sum(len(c) for c in self.continuations)


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
    """Token trees laid out in one row without padding.

    Args:
        tokens: token ids of the row.
        positions: position id of every token.
        segments: the runs the row is made of, parents first.
        continuations: index of the segment of every continuation, tree by tree, in order.
        trees: index of the tree (within this row) that every continuation belongs to.
    """

    tokens: tuple[int, ...]
    positions: tuple[int, ...]
    segments: tuple[Segment, ...]
    continuations: tuple[int, ...]
    trees: tuple[int, ...]

    @property
    def num_targets(self) -> int:
        """Tokens that are predicted: all continuation tokens."""
        return sum(self.segments[i].length for i in self.continuations)

    def sources(self, index: int) -> tuple[int, ...]:
        """The token that predicts each token of segment `index`: what stands before it."""
        segment = self.segments[index]
        return (self.segments[segment.parent].end - 1, *range(segment.start, segment.end - 1))


def pack_row(trees: Sequence[TokenTree]) -> PackedRow:
    """Lay `trees` out one after another in a single row."""
    tokens: list[int] = []
    positions: list[int] = []
    segments: list[Segment] = []
    continuations: list[int] = []
    owners: list[int] = []

    def append(run: tuple[int, ...], parent: int, position: int) -> None:
        segments.append(Segment(len(tokens), len(run), parent, position))
        tokens.extend(run)
        positions.extend(range(position, position + len(run)))

    for index, tree in enumerate(trees):
        root = len(segments)
        append(tree.prompt, -1, 0)
        for continuation in tree.continuations:
            continuations.append(len(segments))
            owners.append(index)
            append(continuation, root, len(tree.prompt))
    return PackedRow(
        tuple(tokens), tuple(positions), tuple(segments), tuple(continuations), tuple(owners)
    )


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
