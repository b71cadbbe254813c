"""Files that are there whole or not at all, whoever else writes them and whenever a run is killed.

Knows paths and bytes. Knows nothing of what they hold.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


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
