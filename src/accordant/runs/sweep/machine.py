"""What this machine has room for: how many runs it can hold side by side.

Knows cores, memory and accelerators. Knows nothing of models or data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# Estimates are good to about a third, and measuring takes memory of its own.
_USABLE = 0.75
# Beyond a few, processes on one accelerator wait for each other more than they overlap.
_PER_ACCELERATOR = 4
_THREADS = "OMP_NUM_THREADS"
_DEVICES = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Machine:
    """What processes share."""

    cores: int  # processor cores this process may use
    threads: int  # threads that one process computes with
    free_memory: int  # bytes of main memory to be had
    # names of visible accelerators, as `CUDA_VISIBLE_DEVICES` takes them
    accelerators: tuple[str, ...] = ()
    free_accelerator_memory: tuple[int, ...] = ()  # bytes free on each of them


@dataclass(frozen=True, slots=True)
class Places:
    """Where runs go that are under way at the same time."""

    # changes to the environment of the process at each place
    environments: tuple[dict[str, str], ...]
    reason: str  # why there are as many places, in words

    @property
    def count(self) -> int:
        """Runs at a time."""
        return len(self.environments)


def find_places(machine: Machine, runs: int, run_bytes: int, wanted: int | None) -> Places:
    """Choose how many runs go side by side, and give each its share of the machine.

    Processes that each keep all cores busy gain nothing from each other, so on a processor their
    number is cores over threads of one process; on accelerators memory decides.

    Args:
        machine: what there is.
        runs: runs there are to do.
        run_bytes: memory of the largest, on the accelerator if there is one.
        wanted: as many as the user asked for; None chooses.
    """
    if machine.accelerators:
        fits = [int(_USABLE * free / run_bytes) for free in machine.free_accelerator_memory]
        most = sum(min(max(fit, 0), _PER_ACCELERATOR) for fit in fits)
        reason, by_cores = f"memory of {len(fits)} accelerators", machine.cores
    else:
        most = int(_USABLE * machine.free_memory / run_bytes)
        reason, by_cores = "free memory", max(1, machine.cores // machine.threads)
    if by_cores < most:
        most, reason = by_cores, f"one run uses {machine.threads} of {machine.cores} cores"
    count = max(1, min(runs, most if wanted is None else wanted))
    if wanted is not None:
        reason = "as asked" if wanted <= most else f"as asked, though room is for {max(most, 1)}"
    elif most >= runs:
        reason = "all of them"
    elif most < 1:
        reason = "hardly room for one"
    environments: tuple[dict[str, str], ...] = tuple({} for _ in range(count))
    for place, environment in enumerate(environments if count > 1 else ()):
        # What the user has set is left alone.
        if _THREADS not in os.environ:
            environment[_THREADS] = str(max(1, machine.cores // count))
        if names := machine.accelerators:
            environment[_DEVICES] = names[place % len(names)]
    return Places(environments, reason)


def look(device: str) -> Machine:
    """Measure this machine as it is now.

    Args:
        device: `auto`, or `cpu` to leave accelerators out of sight.
    """
    import torch

    names: tuple[str, ...] = ()
    free: tuple[int, ...] = ()
    if device != "cpu" and torch.cuda.is_available():
        numbers = range(torch.cuda.device_count())
        # Processes are sent to what this one sees, by the names that it was given.
        visible = os.environ.get(_DEVICES, "")
        names = tuple(visible.split(",")) if visible else tuple(map(str, numbers))
        free = tuple(torch.cuda.mem_get_info(number)[0] for number in numbers)
    return Machine(_cores(), torch.get_num_threads(), _free_memory(), names[: len(free)], free)


def _cores() -> int:
    """Count the cores this process may use, by affinity and by the container's quota."""
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _read("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit():
        known = min(known or 1, int(quota[0]) // int(quota[1]))
    return max(1, known or 1)


def _free_memory() -> int:
    """Count the bytes that can be had without swapping, within the container's limit."""
    known = _table("/proc/meminfo")
    if "MemAvailable:" in known:
        free = known["MemAvailable:"] * 1024
    else:
        # Elsewhere nobody says so without a further library: half of what is built in.
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    limit, used = (_read(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit.isdigit() and used.isdigit():
        # Files that the kernel keeps in memory count as used and can be had back.
        cached = _table("/sys/fs/cgroup/memory.stat").get("inactive_file", 0)
        free = min(free, int(limit) - int(used) + cached)
    return max(0, free)


def _table(path: str) -> dict[str, int]:
    """Read lines of a name and a number."""
    rows = (line.split() for line in _read(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
