"""Progress in lines or a live display: exact figures, a readable rate, silent other processes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from accordant.training.progress import ProgressReporter, describe_metrics, format_seconds
from accordant.training.run import train
from tests.training.runs import make_config, make_model, make_task


def show(folder: Path, *, terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=120)
    model = make_model()
    task = make_task("dpo", model, folder / "cache")
    train(model, task, make_config(folder, max_steps=4, eval_steps=2), console=console)
    return stream.getvalue()


def test_lines_tell_step_loss_accuracy_speed_and_time_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = show(tmp_path, terminal=False).splitlines()
    trained = [line for line in lines if "training" in line]
    assert [line.split()[1] for line in trained] == ["1/4", "2/4", "3/4", "4/4"]
    for word in ("loss ", "accuracy ", "margin ", "tokens/s", "left"):
        assert word in trained[0]
    assert sum("held-out" in line for line in lines) == 2
    assert "it/s" not in capsys.readouterr().err, "no bars of other libraries beside ours"


def test_a_terminal_gets_one_bar_and_is_given_back(tmp_path: Path) -> None:
    shown = show(tmp_path, terminal=True)
    assert "4/4" in shown
    assert "tokens/s" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1, "cursor hidden, then shown"


def test_other_processes_are_silent(tmp_path: Path) -> None:
    stream = io.StringIO()
    reporter = ProgressReporter(Console(file=stream, force_terminal=True))
    state = TrainerState(is_world_process_zero=False, max_steps=2)
    args, control = TrainingArguments(output_dir=str(tmp_path)), TrainerControl()
    reporter.on_train_begin(args, state, control)
    reporter.on_log(args, state, control, logs={"loss": 1.0})
    reporter.on_train_end(args, state, control)
    assert stream.getvalue() == ""


def test_numbers_that_were_not_logged_are_left_out() -> None:
    assert describe_metrics({"loss": 0.5}) == "loss 0.5000"
    assert describe_metrics({"eval_loss": 0.5, "loss": 9.0}, prefix="eval_") == "loss 0.5000"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0s"), (59.4, "59s"), (190, "3m10s"), (7500, "2h05m")]
)
def test_durations_read_as_usual(seconds: float, words: str) -> None:
    assert format_seconds(seconds) == words
