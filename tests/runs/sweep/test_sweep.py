"""Sweeps on a tiny model: what is checked first, what runs share, and what survives a kill."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import AutoModelForCausalLM

from accordant.base.errors import UserError
from accordant.objectives.registry import temporary_objectives
from accordant.runs.align import prepare as align
from accordant.runs.settings import AlignConfig
from accordant.runs.sweep.grid import make_trials, read_axes
from accordant.runs.sweep.sweep import SweepOutcome, run_sweep
from accordant.runs.sweep.trial_processes import last_line
from accordant.runs.sweep.trials import PreparedTrial, prepare_trials, read_trial, tidy
from tests.runs.test_chat import loaded_model

ROWS = [
    {"prompt": f"what is {n}?", "chosen": f"it is {n}", "rejected": f"{n} {n} and so on"}
    for n in range(16)
]
# An objective that is no number from its second step on, as a run that diverges.
DIVERGING = '''
from accordant.objectives import LossOutput, PairwiseScores
from accordant.objectives.registry import objective

@objective(name="diverging", feedback="comparison", needs_reference=True, paper="none", formula="h")
def diverging(pairs: PairwiseScores, *, beta: float = 1.0) -> LossOutput:
    """A loss that is a number only as long as the policy is the reference."""
    h = pairs.chosen.log_ratio()
    return LossOutput(h * beta + (h.detach().abs() < 1e-3).log())
'''


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings that the runs of these tests share."""
    folder = tmp_path_factory.mktemp("job")
    loaded = loaded_model()
    loaded.model.save_pretrained(folder / "tiny")
    loaded.tokenizer.save_pretrained(folder / "tiny")
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "diverging.py").write_text(DIVERGING)
    return {
        "data": str(folder / "pairs.jsonl"),
        "model": str(folder / "tiny"),
        "precision": "float32",
        "batch_size": 4,
        "held_out": 0.25,
        "sample_prompts": 3,
        "max_new_tokens": 6,
        "learning_rate": 1e-3,
        "max_steps": 6,
        "save_steps": 1,
        "eval_steps": 3,
        "logging_steps": 1,
    }


GRID = ("method=dpo,ipo", "dpo.beta=0.1", "ipo.tau=0.5")


def settings(job: dict[str, Any], folder: Path, *sweep: str, **changes: Any) -> AlignConfig:
    return AlignConfig(**{**job, "output_dir": folder / "out", "sweep": sweep or GRID, **changes})


def sweep(config: AlignConfig) -> tuple[SweepOutcome, str]:
    text = io.StringIO()
    outcome = run_sweep(config, console=Console(file=text, width=160))
    return outcome, text.getvalue()


def prepared(config: AlignConfig) -> tuple[PreparedTrial, ...]:
    return prepare_trials(make_trials(config, read_axes(config.sweep)))


# Before anything runs.


def test_a_dry_run_plans_every_run_and_loads_no_weights(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", refuse)
    config = settings(job, tmp_path, *GRID, "lora_rank=0,4", dry_run=True, parallel=3)
    outcome, text = sweep(config)
    assert (outcome.dry_run, outcome.runs, outcome.parallel, outcome.steps) == (True, 4, 3, 24)
    assert [trial["method"] for trial in outcome.trials] == ["dpo", "dpo", "ipo", "ipo"]
    assert all(trial["tokens"] > 0 and trial["memory_bytes"] > 0 for trial in outcome.trials)
    assert outcome.memory_bytes == 3 * max(trial["memory_bytes"] for trial in outcome.trials)
    assert "dpo lora_rank=4 beta=0.1" in text
    assert "4 runs of 24 steps together, 3 at a time" in text
    assert "the model of the best run is kept" in text
    assert not (tmp_path / "out").exists()


def test_disk_use_is_planned_by_what_is_kept(job: dict[str, Any], tmp_path: Path) -> None:
    disk = {
        keep: sweep(settings(job, tmp_path, dry_run=True, keep_models=keep))[0].disk_bytes
        for keep in ("none", "best", "all")
    }
    assert disk["none"] < disk["best"] < disk["all"]


def test_records_are_read_once_for_all_runs_of_an_objective(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    read = align._read
    monkeypatch.setattr(align, "_read", lambda *asked: calls.append(asked) or read(*asked))
    config = settings(job, tmp_path, *GRID, "seed=0,1,2", "learning_rate=1e-3,1e-2")
    trials = prepared(config)
    assert len(trials) == 12
    assert len(calls) == 2
    for trial in trials:
        alone = align.prepare(trial.trial.config)
        assert trial.ready.plan == alone.plan
        assert trial.ready.options == alone.options
        assert trial.ready.encoded.examples == alone.encoded.examples


@pytest.mark.parametrize(
    ("sources", "changes", "message"),
    [
        (("method=dpo,kto",), {}, r"run kto: .*binary records"),
        (("method=dpo", "option.tau=1"), {}, "no option 'tau'"),
        (GRID, {"report": False}, "compares the reports"),
        (GRID, {"sharding": "fsdp2"}, "one for each run"),
        (GRID, {"max_length": 4}, "run dpo beta=0.1: "),
        (GRID, {"judge": "nobody"}, "no judge 'nobody'"),
    ],
)
def test_what_would_fail_in_any_run_is_refused_before_the_first(
    job: dict[str, Any], tmp_path: Path, sources: tuple[str, ...], changes: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        sweep(settings(job, tmp_path, *sources, **changes))
    assert not (tmp_path / "out").exists()


def test_a_sweep_is_not_started_by_torchrun(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="without torchrun"):
        sweep(settings(job, tmp_path))


def test_what_something_else_left_in_the_folder_is_not_touched(
    job: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        sweep(settings(job, tmp_path))
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_log_is_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert last_line(log) == ""
    log.write_text("x" * 20_000 + "\nstep 1\nstep 2\n\n")
    assert last_line(log) == "step 2"
    assert last_line(log, lambda line: line.endswith("1")) == "step 1"


# Runs. A process of its own for each takes a few seconds, so tests share what they leave.


@pytest.fixture(scope="module")
def serial(job: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep whose runs went one after the other."""
    folder = tmp_path_factory.mktemp("serial")
    os.environ["OMP_NUM_THREADS"] = "1"
    outcome, _ = sweep(settings(job, folder, parallel=1))
    assert outcome.failed == 0
    return folder / "out"


def numbers(folder: Path) -> dict[str, Any]:
    """What was measured in every run that ended, by name."""
    found = json.loads((folder / "sweep.json").read_text())["cells"]
    return {
        trial["name"]: (trial["measures"], trial["units"])
        for trial in found
        if trial["state"] == "finished"
    }


def scored(folder: Path) -> list[int]:
    """Reference scores that every run computed itself."""
    logs = [log.read_text() for log in sorted((folder / "runs").glob("*/log.txt"))]
    return [int(re.findall(r"reference: (\d+) records scored", log)[0]) for log in logs]


@pytest.mark.slow
def test_a_sweep_leaves_one_table_one_page_and_the_best_model(serial: Path) -> None:
    found = json.loads((serial / "sweep.json").read_text())
    assert [trial["state"] for trial in found["cells"]] == ["finished", "finished"]
    first, second = (trial["measures"]["win_rate"]["estimate"] for trial in found["cells"])
    assert first >= second
    expected = {
        "win_rate",
        "kl",
        "length",
        "wanted_logp_change",
        "unwanted_logp_change",
        "accuracy",
    }
    assert all(expected == trial["measures"].keys() for trial in found["cells"])
    assert {one["method"] for one in found["objectives"]} == {"dpo", "ipo"}
    assert (serial / "sweep.csv").read_text().count("\n") == 3
    assert "<html" in (serial / "sweep.html").read_text()
    best, other = (serial / "runs" / trial["name"] for trial in found["cells"])
    assert (best / "model" / "model.safetensors").exists()
    assert not (other / "model").exists()
    assert not list(serial.glob("runs/*/checkpoint-*"))
    assert all((run / "report.html").exists() for run in (best, other))


@pytest.mark.slow
def test_reference_scores_are_computed_once_for_all_runs(serial: Path) -> None:
    assert sorted(scored(serial)) == [0, 16]


@pytest.mark.slow
def test_runs_side_by_side_give_the_same_numbers_and_a_failed_one_stops_no_other(
    job: dict[str, Any], serial: Path, tmp_path: Path
) -> None:
    file = Path(job["data"]).with_name("diverging.py")
    config = settings(
        job,
        tmp_path,
        "method=diverging,dpo,ipo",
        *GRID[1:],
        parallel=3,
        objective_file=file,
        keep_models="none",
    )
    with temporary_objectives():
        outcome, text = sweep(config)
    assert outcome.failed == 1
    out = tmp_path / "out"
    assert numbers(out) == numbers(serial)
    assert sorted(scored(out)) == [0, 0, 16], "runs that start together wait for each other"
    failed = json.loads((out / "sweep.json").read_text())["cells"][-1]
    assert (failed["method"], failed["state"]) == ("diverging", "failed")
    assert "the loss of step" in failed["message"]
    assert "pairs.jsonl, row" in failed["message"]
    assert "the loss of step" in " ".join(text.split())
    assert "1 of 3 runs failed" in outcome.summary
    assert not list(out.glob("runs/*/model"))


@pytest.mark.slow
def test_ended_runs_are_read_back_and_others_are_refused(
    job: dict[str, Any], serial: Path, tmp_path: Path
) -> None:
    config = settings(job, tmp_path, output_dir=serial, resume=True)
    before = {path: path.stat().st_mtime_ns for path in serial.glob("runs/*/report.json")}
    outcome, text = sweep(config)
    assert outcome.failed == 0
    assert "2 of 2 runs have ended before" in text
    assert before == {path: path.stat().st_mtime_ns for path in before}
    with pytest.raises(UserError, match=r"--resume.*--overwrite"):
        sweep(config.model_copy(update={"resume": False}))
    for name, value in (("max_steps", 7), ("judge", "shorter"), ("held_out", 0.5)):
        with pytest.raises(UserError, match="made with other settings"):
            sweep(config.model_copy(update={name: value}))
    # What changes no number may change.
    sweep(config.model_copy(update={"token_budget": 64, "save_steps": 3, "rank_by": "accuracy"}))


@pytest.mark.slow
def test_which_model_is_kept_does_not_depend_on_the_order_of_runs(
    job: dict[str, Any], serial: Path, tmp_path: Path
) -> None:
    config = settings(job, tmp_path, output_dir=serial)
    trials = prepared(config)
    read = [read_trial(trial) for trial in trials]
    kept = next(result.name for result in read if result.model)
    for order in (read, read[::-1]):
        for count in range(1, len(order) + 1):
            for trial in trials[:count]:
                (trial.trial.config.output_dir / "model").mkdir(exist_ok=True)
            tidy(config, trials, order)
            assert [path.parent.name for path in serial.glob("runs/*/model")] == [kept]


COMMAND = [sys.executable, "-m", "accordant", "align"]


def command(job: dict[str, Any], out: Path, *more: str) -> list[str]:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in job.items()]
    axes = [part for axis in GRID for part in ("--sweep", axis)]
    return [*COMMAND, *options, *axes, f"--output-dir={out}", "--parallel=1", *more]


def alive(folder: Path) -> list[int]:
    """Processes that work in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = process.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "accordant.runs.sweep.trial" in arguments and str(folder) in " ".join(arguments):
            found.append(int(process.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_killed_sweep_goes_on_where_it_was(
    job: dict[str, Any], serial: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command(job, out), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    first, second = (out / "runs" / name for name in ("dpo,beta=0.1", "ipo,tau=0.5"))
    until = time.monotonic() + 200
    while not list(second.glob("checkpoint-*")) and time.monotonic() < until:
        assert process.poll() is None, "the sweep was over before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 20
    while alive(out) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(out), "a run outlived the sweep that started it"
    assert (first / "report.json").exists()
    assert not (second / "report.json").exists(), "the run was over before it could be killed"
    ended = (first / "report.json").stat().st_mtime_ns

    done = subprocess.run(
        command(job, out, "--resume"), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 2 runs have ended before" in done.stdout
    assert (first / "report.json").stat().st_mtime_ns == ended, "an ended run was run again"
    steps = re.findall(r"step (\d+)/6  training", (second / "log.txt").read_text())
    assert "1" not in steps, "it went on from a checkpoint"
    assert steps[-1] == "6"
    assert numbers(out) == numbers(serial)
