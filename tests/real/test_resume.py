"""A run killed with SIGKILL and resumed has the weights of one that was left alone, bit by bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

SETTINGS = {"max_steps": 7, "save_steps": 2, "batch_size": 5, "token_budget": 48}


def launch(folder: Path, name: str, **job: Any) -> subprocess.CompletedProcess[str]:
    job = {"folder": str(folder), "name": name, "method": "dpo", **job}
    return subprocess.run(
        [sys.executable, "-m", "tests.training.worker", json.dumps([job])],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def finish(folder: Path, name: str, **job: Any) -> dict[str, Any]:
    done = launch(folder, name, **job)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("kill", "checkpoint", "job"),
    [
        # 16 examples in batches of 5: the fourth step of an epoch has one example left.
        ("after step 5", "checkpoint-4", {}),
        ("while writing 6", "checkpoint-4", {"lora": 4, "dropout": 0.2}),
    ],
)
def test_a_killed_run_resumed_gives_the_same_weights_bit_by_bit(
    kill: str, checkpoint: str, job: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("alone", "killed"):
        (tmp_path / name).mkdir()
    alone = finish(tmp_path / "alone", "run", settings=SETTINGS, **job)
    killed = launch(tmp_path / "killed", "run", settings=SETTINGS, kill=kill, **job)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    resumed = finish(tmp_path / "killed", "run", settings={**SETTINGS, "resume": True}, **job)

    assert resumed["resumed"].endswith(checkpoint)
    ours = load_file(tmp_path / "killed" / "run.safetensors")
    theirs = load_file(tmp_path / "alone" / "run.safetensors")
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        assert ours[name].numpy().tobytes() == weight.numpy().tobytes(), name
    losses = [[row["loss"] for row in run["history"] if "loss" in row] for run in (alone, resumed)]
    assert losses[0] == losses[1]
    assert not (tmp_path / "killed" / "out" / ".unfinished").exists()
