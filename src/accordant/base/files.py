"""Files and folders that are there whole or not at all, whoever else writes them or kills a run.

Knows paths and bytes. Knows nothing of what they hold.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever reads half of it.

    It is written beside its place under a name of its own, flushed to the disk and renamed, so
    several processes or threads may write the same one.

    Raises:
        OSError: the folder is not there or cannot be written; what was at `path` is unchanged.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def open_journal(path: Path, *, go_on: bool = True) -> Iterator[tuple[list[str], IO[str]]]:
    """Open a file of lines that keeps what is done, for a killed run to go on from.

    Args:
        path: of the file; its folder is made.
        go_on: whether to keep the lines that are there.

    Yields:
        the whole lines that are there, and the file, to which the block appends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held = path.read_bytes() if go_on and path.is_file() else b""
    # A kill may have left half a line: it is cut off.
    whole = held[: held.rfind(b"\n") + 1]
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.truncate(len(whole))
        yield whole.decode().split("\n")[:-1], file


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Put the folder that the block fills in the place of `target`, so that nobody sees half of it.

    Yields:
        an empty folder beside the place; it goes, and what was there stays, if the block fails.

    Raises:
        OSError: the place cannot be written; what was there is unchanged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        partial, old = Path(scratch) / "new", Path(scratch) / "old"
        partial.mkdir()
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                # Libraries write through temporary files, which only their owner may read.
                file.chmod(partial.stat().st_mode & 0o666)
        if target.exists():
            target.rename(old)
        try:
            partial.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
