"""Work kept on disk in shards: done once, shared by processes, gone on with after an interruption.

Knows files and processes. Knows nothing of what a shard holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from accordant.base.locks import lock
from accordant.base.processes import process_count, process_number, wait_for_processes

Part = TypeVar("Part", bound=Sized)
Shard = TypeVar("Shard")


def fill_shards(
    home: Path,
    parts: Sequence[Part],
    read: Callable[[Part], Shard | None],
    compute: Callable[[Part], Shard],
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Shard], list[Part]]:
    """Return the shards of all `parts`: read where they are on disk, computed elsewhere.

    With several processes each computes its part of what is missing and all read the result; every
    process must call this with the same parts. Where they share no disk, each ends up computing
    what it cannot see. Several runs at once wait for each other: what one computes, others read.

    Args:
        home: folder of the shards, which exists.
        parts: what is kept in one file each, such as lists of examples.
        read: the shard of a part; None where there is none or where it is not what was written.
        compute: computes the shard of a part and writes it.
        progress: called after every shard with the number of items done so far, over all parts.

    Returns:
        the shards, and the parts that were missing.
    """
    rank, world = process_number(), process_count()
    total = sum(map(len, parts))
    with lock(home / ".lock") if world == 1 else nullcontext():
        missing = [part for part in parts if read(part) is None]
        done = total - sum(map(len, missing))
        # All must have looked before the first one writes, or they would divide different work.
        wait_for_processes()
        for part in missing[rank::world]:
            compute(part)
            done += len(part)
            if progress is not None:
                progress(done)
        wait_for_processes()
        shards = []
        for part in parts:
            shard = read(part)
            shards.append(shard if shard is not None else compute(part))
    if progress is not None:
        progress(total)
    return shards, missing
