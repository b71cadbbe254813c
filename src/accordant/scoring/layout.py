"""Who may see whom in a packed row, laid out for the attention kernels.

Trees stand depth first, so one integer a key says it: query q sees key k where `k <= q < end[k]`
and, with a sliding window, `position[q] - position[k] < window`. Blocks of queries, FlexAttention's
lists of blocks and a dense mask all follow. Knows nothing of token ids, models or losses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

# Query tokens handled together. Larger blocks waste more of the diagonal, smaller ones pay more
# kernel launches; at 128 the products of grouped heads already run at the matrix rate (dev/LOG.md).
BLOCK = 128

Runs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class TreeLayout:
    """The visibility of one packed row, on the model's device.

    Args:
        end: one past the last token that sees this one, int64 `[tokens]`.
        positions: position id of every token, int64 `[tokens]`.
        read: tokens whose last state is read, int64 `[read]`, ascending; None where it is not told,
            so that all are computed.
        block_masks: FlexAttention's masks by window, as far as they have been made.
    """

    end: Tensor
    positions: Tensor
    read: Tensor | None = None
    block_masks: dict[int | None, Any] = field(default_factory=dict)

    def mask(self, window: int | None = None) -> Tensor:
        """Return the dense visibility mask, bool `[tokens, tokens]` (query, key)."""
        tokens = torch.arange(len(self.end), device=self.end.device)
        return sees(tokens[:, None], tokens, self.end, self.positions, window)

    def block_mask(self, window: int | None = None) -> Any:
        """Return FlexAttention's block mask, made once."""
        if window not in self.block_masks:
            self.block_masks[window] = flex_block_mask(self.end, self.positions, window)
        return self.block_masks[window]


def sees(q: Tensor, k: Tensor, end: Tensor, positions: Tensor, window: int | None) -> Tensor:
    """Tell which queries `q` see which keys `k`, bool of their common shape.

    Args:
        q, k: places in the row, int64.
        end, positions: of every token, int64 `[tokens]`.
        window: keys at least this many positions before the query are hidden; None for no window.
    """
    seen = (k <= q) & (q < end[k])
    return seen if window is None else seen & (positions[q] - positions[k] < window)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive queries of a row, with the keys before them that all of them see.

    Args:
        start, end: the queries, as places in the row.
        before: runs `(start, end)` of keys before `start`, ascending in place and in position.
    """

    start: int
    end: int
    before: Runs


def plan_blocks(end: Sequence[int], size: int = BLOCK) -> list[Block]:
    """Cut a row into blocks of at most `size` queries, none of which crosses the end of a subtree
    that was begun before it: what one query of a block sees before the block, all of them see.

    Short answers share a block: a mask among them costs less than more blocks. Prompts do not: the
    shapes of products decide how bfloat16 rounds, and a score must not depend on its neighbours.
    """
    blocks: list[Block] = []
    open_runs: list[tuple[int, int, int]] = []  # start, end, and where the last query that sees it
    start = 0
    while start < len(end):
        open_runs = [run for run in open_runs if run[2] > start]
        # Subtrees are nested, so the run begun last is the first to end.
        until = open_runs[-1][2] if open_runs else len(end)
        stop = min(start + size, _leaves_end(end, start, until))
        blocks.append(Block(start, stop, _joined((a, b) for a, b, _ in open_runs)))
        for until, run in groupby(range(start, stop), key=end.__getitem__):
            places = list(run)
            open_runs.append((places[0], places[-1] + 1, until))
        start = stop
    return blocks


def _leaves_end(end: Sequence[int], start: int, until: int) -> int:
    """Return where the segment at `start` ends, or the last of the leaves that follow it."""
    stop = start
    while stop < until:
        begun = stop
        while stop < until and end[stop] == end[begun]:
            stop += 1
        if end[begun] != stop:  # an inner segment: it has a block of its own
            return begun if begun > start else stop
    return stop


def _joined(runs: Iterable[tuple[int, int]]) -> Runs:
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end))
    return tuple(joined)


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """What the products of one block need.

    Args:
        start, end: the queries, as places in the row.
        keys: runs of keys, the queries themselves at the end of the last one.
        unseen: minus infinity where a query does not see a key and 0 elsewhere, `[queries, keys]`
            for the last keys; all queries see the keys before those.
    """

    start: int
    end: int
    keys: Runs
    unseen: Tensor


def block_plans(
    end: Tensor, positions: Tensor, window: int | None, dtype: torch.dtype
) -> tuple[BlockPlan, ...]:
    """Plan the blocks of a row on the CPU; the last few rows' plans are remembered.

    Args:
        end, positions: of every token, int64 `[tokens]`.
        window: see `sees`.
        dtype: of the dot products.
    """
    where = b"" if window is None else positions.numpy().tobytes()
    return _block_plans(end.numpy().tobytes(), where, window, dtype)


# Every layer asks twice a step; by content, as compiled code hands on tensors and not objects.
@lru_cache(maxsize=16)
def _block_plans(
    ends: bytes, where: bytes, window: int | None, dtype: torch.dtype
) -> tuple[BlockPlan, ...]:
    end = torch.frombuffer(bytearray(ends), dtype=torch.int64)
    positions = torch.frombuffer(bytearray(where), dtype=torch.int64) if where else end
    plans = []
    for block in plan_blocks(end.tolist()):
        before, q = block.before, torch.arange(block.start, block.end)
        k = q
        if window is not None:
            # The first query has the lowest position: what it no longer sees, none does.
            hidden = max(0, int(positions[block.start]) - window + 1)
            before = _without_first(before, hidden)
            k = torch.cat([*(torch.arange(*run) for run in before), q])
        keys = _joined([*before, (block.start, block.end)])
        seen = sees(q[:, None], k, end, positions, window)
        unseen = torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, float("-inf"))
        plans.append(BlockPlan(block.start, block.end, keys, unseen))
    return tuple(plans)


def _without_first(runs: Runs, count: int) -> Runs:
    left = []
    for start, end in runs:
        dropped = min(count, end - start)
        count -= dropped
        if start + dropped < end:
            left.append((start + dropped, end))
    return tuple(left)


def flex_block_mask(end: Tensor, positions: Tensor, window: int | None) -> Any:
    """Make FlexAttention's block mask from minima and maxima over blocks of keys.

    Never looks at pairs of tokens. A block of keys is seen by a block of queries in part, in full
    or not at all; "in part" may turn out to be "not at all", which costs time and changes nothing.

    Args:
        end, positions: of every token, int64 `[tokens]`.
        window: see `sees`.
    """
    from torch.nn.attention.flex_attention import BlockMask

    def visible(_batch: Tensor, _head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return sees(q, k, end, positions, window)

    some, full = block_visibility(end, positions, window)

    def lists(blocks: Tensor) -> tuple[Tensor, Tensor]:
        order = blocks.to(torch.int8).argsort(dim=1, descending=True, stable=True)
        return blocks.sum(1, dtype=torch.int32)[None, None], order.to(torch.int32)[None, None]

    lengths = (len(end), len(end))
    return BlockMask.from_kv_blocks(
        *lists(some & ~full), *lists(full), BLOCK_SIZE=BLOCK, mask_mod=visible, seq_lengths=lengths
    )


def block_visibility(
    end: Tensor, positions: Tensor, window: int | None, size: int = BLOCK
) -> tuple[Tensor, Tensor]:
    """Tell which blocks of queries see something, and everything, of which blocks of keys.

    Returns:
        bool `[blocks, blocks]` (queries, keys) each; the first holds some that see nothing.
    """
    count = -(-len(end) // size)
    spare = count * size - len(end)

    def extremes(values: Tensor) -> tuple[Tensor, Tensor]:
        # What fills the last block up repeats its last token, so that it changes no extreme.
        blocks = torch.cat([values, values[-1:].expand(spare)]).view(count, size)
        return blocks.amin(1), blocks.amax(1)

    (first_end, last_end), (lowest, highest) = extremes(end), extremes(positions)
    keys = torch.arange(count, device=end.device)
    queries = keys[:, None]
    some = (keys <= queries) & (last_end > queries * size)
    full = (keys < queries) & (first_end >= ((queries + 1) * size).clamp(max=len(end)))
    if window is not None:
        some &= lowest[:, None] - highest < window
        full &= highest[:, None] - lowest < window
    return some, full
