"""What a sweep shows while it runs: one line for every run under way, and how much is left.

Knows rich, logs' last lines and results. Knows nothing of processes. On a terminal the lines move;
elsewhere a run's line is printed now and then, and when it has ended.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text

from accordant.runs.sweep.grid import Trial
from accordant.runs.sweep.numbers import MEASURES
from accordant.runs.sweep.results import TrialResult
from accordant.training.progress import format_seconds

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

_SECONDS_BETWEEN_LINES = 30.0


class SweepProgress:
    """Reports `total` runs, `parallel` at a time, to `console`."""

    def __init__(self, console: Console, *, total: int, parallel: int) -> None:
        self._console = console
        self._total, self._parallel, self._ended = total, parallel, 0
        self._lines: dict[str, str] = {}  # by label, of the runs under way
        self._began: dict[str, float] = {}
        self._quiet_until: dict[str, float] = {}
        self._seconds: list[float] = []  # that runs took which did not fail
        self._live: Live | None = None
        if console.is_terminal and total:
            from rich.live import Live

            # Transient, as the runs that have ended stand above it in lines of their own.
            self._live = Live(console=console, refresh_per_second=4, transient=True)
            self._live.start()

    def watch(self, trial: Trial, line: str) -> None:
        """Show what a run has last logged."""
        label, now = trial.label, time.monotonic()
        self._began.setdefault(label, now)
        changed, self._lines[label] = self._lines.get(label) != line, line
        if self._live is not None:
            width = max(map(len, self._lines))
            rows = [f"{name:<{width}}  {text}" for name, text in self._lines.items()]
            board = "\n".join([*rows, self._how_far()])
            self._live.update(Text(board, overflow="ellipsis", no_wrap=True))
        elif changed and line and now >= self._quiet_until.get(label, now):
            self._quiet_until[label] = now + _SECONDS_BETWEEN_LINES
            self._print(f"{label}  {line}")

    def ended(self, trial: Trial, result: TrialResult) -> None:
        """Show what came of a run."""
        now = time.monotonic()
        took = now - self._began.pop(trial.label, now)
        self._lines.pop(trial.label, None)
        self._ended += 1
        if result.state == "failed":
            words = f"failed: {result.message}"
        else:
            self._seconds.append(took)
            words = "; ".join(
                f"{measure.label} {measure.text(result.get(measure))}"
                for measure in MEASURES[:3]
                if measure.name in result.measures
            )
        self._print(f"{trial.label}  {words}  ({self._how_far()})")

    def close(self) -> None:
        """Give the terminal back, also after an error."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _how_far(self) -> str:
        done = f"{self._ended} of {self._total} runs"
        remaining = self._total - self._ended
        if not self._seconds or not remaining:
            return done
        # Runs go side by side: what is left takes whole rounds of them.
        rounds = -(-remaining // self._parallel)
        left = rounds * sum(self._seconds) / len(self._seconds)
        return f"{done}, about {format_seconds(left)} left"

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
