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
    """Reports runs to `console`.

    Args:
        console: where people read along.
        total: runs to do.
        parallel: runs at a time.
    """

    def __init__(self, console: Console, *, total: int, parallel: int) -> None:
        self._console = console
        self._total, self._parallel, self._ended = total, parallel, 0
        self._lines: dict[str, str] = {}
        self._began: dict[str, float] = {}
        self._printed: dict[str, float] = {}
        self._seconds: list[float] = []
        self._live: Live | None = None
        if console.is_terminal and total:
            from rich.live import Live

            self._live = Live(console=console, refresh_per_second=4, transient=True)
            self._live.start()

    def watch(self, trial: Trial, line: str) -> None:
        """Show what a run has last said."""
        now = time.monotonic()
        self._began.setdefault(trial.name, now)
        changed = self._lines.get(trial.label) != line
        self._lines[trial.label] = line
        if self._live is not None:
            self._live.update(self._board())
        elif changed and line and now >= self._printed.get(trial.name, -1e9):
            self._printed[trial.name] = now + _SECONDS_BETWEEN_LINES
            self._say(f"{trial.label}  {line}")

    def ended(self, trial: Trial, result: TrialResult) -> None:
        """Show what came of a run."""
        took = time.monotonic() - self._began.pop(trial.name, time.monotonic())
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
        self._say(f"{trial.label}  {words}  ({self._how_far()})")

    def close(self) -> None:
        """Give the terminal back, also after an error."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _board(self) -> Text:
        width = max(map(len, self._lines), default=0)
        rows = [f"{label:<{width}}  {line}" for label, line in self._lines.items()]
        return Text("\n".join([*rows, self._how_far()]), overflow="ellipsis", no_wrap=True)

    def _how_far(self) -> str:
        done = f"{self._ended} of {self._total} runs"
        remaining = self._total - self._ended
        if not self._seconds or not remaining:
            return done
        each = sum(self._seconds) / len(self._seconds)
        left = each * -(-remaining // self._parallel)
        return f"{done}, about {format_seconds(left)} left"

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
