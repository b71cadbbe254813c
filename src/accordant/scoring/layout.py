"""Who may see whom in a packed row, laid out for the attention kernels.

Knows segments and positions. Knows nothing of token ids, models or losses.

The visible keys of a query are its ancestors' tokens and, within its own segment, itself and what
stands before it. Two forms of the same fact are offered: a list of `Block`s (query runs with the
key runs they see, no masked work but the diagonal), and per-token labels for mask functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from accordant.tokens.trees import PackedRow, Segment

# Query tokens handled together. Larger blocks waste more of the diagonal, smaller ones pay more
# kernel launches; at 128 the products of grouped heads already run at the matrix rate (dev/LOG.md).
BLOCK = 128


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive queries of one segment, or of short siblings, with the keys they see.

    Args:
        start, end: the queries, as indices into the row.
        keys: runs `(start, end)` of visible keys in ascending order of position; the last run ends
            at `end`, so the last `end - start` keys are the queries themselves, and all keys before
            them are visible to every query of the block.
        parts: lengths of the segments the queries belong to, summing to `end - start`; among
            themselves queries see their own segment, causally.
    """

    start: int
    end: int
    keys: tuple[tuple[int, int], ...]
    parts: tuple[int, ...]

    @property
    def num_keys(self) -> int:
        """Keys of all runs."""
        return sum(end - start for start, end in self.keys)


def _key_runs(segments: Sequence[Segment], index: int, end: int) -> tuple[tuple[int, int], ...]:
    """List runs of keys that the query at `end - 1` of segment `index` sees, joined."""
    runs = [(segments[index].start, end)]
    parent = segments[index].parent
    while parent >= 0:
        segment = segments[parent]
        if segment.end == runs[0][0]:
            runs[0] = (segment.start, runs[0][1])
        else:
            runs.insert(0, (segment.start, segment.end))
        parent = segment.parent
    return tuple(runs)


def plan_blocks(segments: Sequence[Segment], size: int = BLOCK) -> tuple[Block, ...]:
    """Cut segments into query blocks of at most `size` tokens, and join short siblings to one.

    Siblings see the same ancestors, so a joint block only adds a mask between them: for answers
    of a few dozen tokens that costs less than a block for each.
    """
    blocks: list[Block] = []
    previous: Segment | None = None
    for index, segment in enumerate(segments):
        if previous is not None and _joins(previous, segment, blocks[-1], size):
            last = blocks.pop()
            (first, _), end = last.keys[-1], segment.end
            keys = (*last.keys[:-1], (first, end))
            blocks.append(Block(last.start, end, keys, (*last.parts, segment.length)))
        else:
            for start in range(segment.start, segment.end, size):
                end = min(start + size, segment.end)
                keys = _key_runs(segments, index, end)
                blocks.append(Block(start, end, keys, (end - start,)))
        previous = segment
    return tuple(blocks)


def _joins(previous: Segment, segment: Segment, last: Block, size: int) -> bool:
    """Tell whether `segment` goes into the block that holds the sibling before it."""
    siblings = previous.parent == segment.parent and segment.start == previous.end
    whole = last.start <= previous.start
    return siblings and whole and segment.end - last.start <= size


@dataclass(frozen=True)
class TreeLayout:
    """The visibility structure of one packed row.

    Args:
        segments: the row's segments, parents first.
        positions: position id of every token, int64 `[tokens]`, on the model's device.
        read: tokens whose last state is read, int64 `[read]`, ascending.
    """

    segments: tuple[Segment, ...]
    positions: Tensor
    read: Tensor

    @classmethod
    def of(cls, row: PackedRow, device: torch.device, read: Iterable[int]) -> TreeLayout:
        """Lay `row` out with its labels on `device`; `read` may name a token several times."""
        positions, tokens = (
            torch.tensor(numbers, device=device) for numbers in (row.positions, sorted(set(read)))
        )
        return cls(row.segments, positions, tokens)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The row as query blocks."""
        return plan_blocks(self.segments)

    @cached_property
    def segment_of_token(self) -> Tensor:
        """Segment of every token, int64 `[tokens]`."""
        lengths = torch.tensor([segment.length for segment in self.segments])
        labels = torch.repeat_interleave(torch.arange(len(self.segments)), lengths)
        return labels.to(self.positions.device)

    @cached_property
    def sees(self) -> Tensor:
        """Whether segment `i` sees `j` (itself or an ancestor), bool `[segments, segments]`."""
        count = len(self.segments)
        visible = torch.eye(count, dtype=torch.bool)
        for index, segment in enumerate(self.segments):
            if segment.parent >= 0:
                visible[index] |= visible[segment.parent]
        return visible.to(self.positions.device)

    def mask(self, window: int | None = None) -> Tensor:
        """Return the dense visibility mask, bool `[tokens, tokens]` (query, key).

        Args:
            window: keys at least this many positions before the query are hidden; None for all.
        """
        labels = self.segment_of_token
        index = torch.arange(labels.shape[0], device=labels.device)
        visible = self.sees[labels[:, None], labels[None, :]] & (index[:, None] >= index[None, :])
        if window is not None:
            visible &= self.positions[:, None] - self.positions[None, :] < window
        return visible
