"""Runs of a sweep side by side: started as processes, watched through their logs, stopped.

Knows processes, folders and logs. Knows nothing of what a run does or of its numbers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from accordant.runs.sweep.grid import Trial
from accordant.runs.sweep.machine import Places
from accordant.runs.sweep.trial import FAILURE_NAME, LOG_NAME
from accordant.training.progress import says_how_far

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0
_TAIL_BYTES = 8192


def run_side_by_side(
    trials: Sequence[Trial],
    places: Places,
    *,
    watch: Callable[[Trial, str], None],
    ended: Callable[[Trial, str], None],
) -> None:
    """Run every trial in a process of its own, as many at a time as there are places.

    All processes are stopped when this is left early, and end by themselves should this process be
    killed.

    Args:
        trials: runs to do, in order; their folders hold the settings.
        places: where they go.
        watch: called several times a second with a running trial and what its log last says of how
            far it is.
        ended: called with a trial that has ended and why it failed; empty when it did not.
    """
    waiting, free = deque(trials), deque(range(places.count))
    running: dict[int, tuple[Trial, subprocess.Popen[bytes]]] = {}
    try:
        while waiting or running:
            while waiting and free:
                place, trial = free.popleft(), waiting.popleft()
                running[place] = trial, _start(trial.folder, places.environments[place])
            time.sleep(_POLL_SECONDS)
            for place, (trial, process) in tuple(running.items()):
                code = process.poll()
                if code is None:
                    watch(trial, last_line(trial.folder / LOG_NAME, says_how_far))
                    continue
                del running[place]
                free.append(place)
                _close(process)
                ended(trial, _why_failed(trial.folder, code))
    finally:
        _stop([process for _, process in running.values()])


def last_line(log: Path, which: Callable[[str], bool] = bool) -> str:
    """Return the last line of a log that `which` takes; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if which(line.strip())), "")


def _start(folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (folder / LOG_NAME).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "accordant.runs.sweep.trial", str(folder)],
            # Nothing is ever written to it: that it closes tells the run that the sweep is gone.
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        )


def _why_failed(folder: Path, code: int) -> str:
    if code == 0:
        return ""
    failure, log = folder / FAILURE_NAME, folder / LOG_NAME
    if code == 2 and failure.is_file():
        return failure.read_text(encoding="utf-8")
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        hint = " Memory may have run out." if name == "SIGKILL" else ""
        return f"its process was ended by {name}.{hint} Its log: {log}"
    return f"{last_line(log) or f'its process ended with code {code}'} (see {log})"


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    until = time.monotonic() + _PATIENCE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
