"""Locks between processes of one machine, as files: held until closed or until the process ends.

Knows files. Knows nothing of what is locked. The system frees a lock whose process was killed, so
none is ever left behind. Where a file system or system has no such locks, nobody waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def lock(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock at `path`, a file that is made where there is none.

    Args:
        path: the lock file; its folder must exist.
        wait: until it is free; otherwise yields False when another process holds it.

    Yields:
        whether the lock is held.
    """
    try:
        import fcntl
    except ImportError:
        yield True
        return
    with path.open("ab") as file:
        held = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            held = False
        except OSError:
            # Some network file systems have no locks; without them all go on as if alone.
            held = True
        try:
            yield held
        finally:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
