"""The processes of one distributed run: how many there are, which this is, and waiting for them.

Knows torch's process group and the launcher's environment. Imports torch when it is asked.
"""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Tell whether the launcher calls this process the first, before any process group is there."""
    return os.environ.get("RANK", "0") == "0"


def process_count() -> int:
    """Count the processes of this run."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def process_number() -> int:
    """Return the number of this process in the run, from 0."""
    from torch import distributed

    return distributed.get_rank() if process_count() > 1 else 0


def is_main_process() -> bool:
    """Tell whether this process prints and writes for the run."""
    return process_number() == 0


def wait_for_processes() -> None:
    """Wait until every process of the run has come here; nothing in a run of one."""
    from torch import distributed

    if process_count() > 1:
        distributed.barrier()
