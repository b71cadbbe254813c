"""What a run shows while it trains: one live bar on a terminal, plain lines elsewhere.

Knows transformers' callbacks and rich. Knows nothing of losses beyond the names they are logged as.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

# Shown beside the bar, in this order, where they are logged.
SHOWN = (
    ("loss", "loss {:.4f}"),
    ("rewards/accuracies", "accuracy {:.0%}"),
    ("rewards/margins", "margin {:+.3f}"),
    ("tokens_per_second", "{:,.0f} tokens/s"),
)


@contextmanager
def phase(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Say what takes a while: a spinner on a terminal, one line elsewhere.

    Yields:
        a function that changes the words beside the spinner.
    """
    if not console.is_terminal:
        console.print(f"{what} ...", markup=False, highlight=False)
        yield lambda _: None
        return
    with console.status(what) as status:
        yield status.update


def says_how_far(line: str) -> bool:
    """Tell whether a line of a log says what the run is at: a phase, or a step."""
    return line.endswith(" ...") or (line.startswith("step ") and "  training  " in line)


class ProgressReporter(TrainerCallback):
    """Reports a run to `console`; silent in all but the main process.

    Args:
        console: where progress is shown.
        first: what the first step waits for; nothing when empty.
    """

    def __init__(self, console: Console, first: str = "") -> None:
        self._console = console
        self._first = first
        self._bar: Progress | None = None
        self._task: Any = None
        self._started = 0.0
        self._first_step = 0

    def on_train_begin(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any
    ) -> None:
        """Start the bar."""
        self._started, self._first_step = time.monotonic(), state.global_step
        if not state.is_world_process_zero:
            return
        if not self._console.is_terminal:
            if self._first:
                self._console.print(f"{self._first} ...", markup=False, highlight=False)
            return
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task(
            "training", total=state.max_steps, completed=state.global_step, numbers=self._first
        )
        self._bar.start()

    def on_step_end(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any
    ) -> None:
        """Move the bar on."""
        if self._bar is not None:
            self._bar.update(self._task, completed=state.global_step)

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Show the numbers of a log line."""
        if not state.is_world_process_zero or not logs:
            return
        held_out = "eval_loss" in logs
        if not held_out and "loss" not in logs:
            return
        numbers = describe_metrics(logs, prefix="eval_" if held_out else "")
        if self._bar is not None and not held_out:
            self._bar.update(self._task, numbers=numbers)
            return
        label = "held-out" if held_out else "training"
        step = f"step {state.global_step}/{state.max_steps}"
        left = "" if held_out else self._time_left(state)
        self._console.print(f"{step}  {label}  {numbers}{left}", highlight=False)

    def on_train_end(
        self, _args: TrainingArguments, _state: TrainerState, _control: TrainerControl, **_: Any
    ) -> None:
        """Close the bar."""
        self.close()

    def close(self) -> None:
        """Give the terminal back, also after an error."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _time_left(self, state: TrainerState) -> str:
        done = state.global_step - self._first_step
        if not done:
            return ""
        seconds = (time.monotonic() - self._started) / done * (state.max_steps - state.global_step)
        return f"  {format_seconds(seconds)} left"


def describe_metrics(logs: Mapping[str, float], prefix: str = "") -> str:
    """Return the numbers of a log line worth a look, in words."""
    found = [(text, logs.get(prefix + name)) for name, text in SHOWN]
    return "  ".join(text.format(value) for text, value in found if value is not None)


def format_seconds(seconds: float) -> str:
    """Write a duration in the usual form: `42s`, `3m10s`, `2h05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
