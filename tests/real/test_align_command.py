"""`accordant align` as users run it: in a process that is killed and resumed, and in two."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.runs.test_chat import loaded_model

SETTINGS = [
    "--precision=float32",
    "--batch-size=4",
    "--held-out=0.25",
    "--sample-prompts=2",
    "--max-new-tokens=6",
    "--learning-rate=1e-3",
    "--max-steps=8",
    "--save-steps=1",
    "--eval-steps=4",
]


@pytest.fixture
def job(tmp_path: Path) -> list[str]:
    """The command's options, with a tiny model and 16 comparisons written to `tmp_path`."""
    loaded = loaded_model()
    loaded.model.save_pretrained(tmp_path / "tiny")
    loaded.tokenizer.save_pretrained(tmp_path / "tiny")
    rows = [
        {"prompt": f"what is {n}?", "chosen": f"it is {n}", "rejected": f"{n} {n} and so on"}
        for n in range(16)
    ]
    data = tmp_path / "pairs.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["align", f"--data={data}", f"--model={tmp_path / 'tiny'}", *SETTINGS]


ALONE = ["-m", "accordant"]


def start(launcher: list[str], options: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *launcher, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(launcher: list[str], options: list[str]) -> str:
    process = start(launcher, options)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, f"{output}\n{errors}"
    return output


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def test_a_killed_run_goes_on_with_resume_and_ends_the_same(job: list[str], tmp_path: Path) -> None:
    finish(ALONE, [*job, f"--output-dir={tmp_path / 'alone'}"])
    cut = tmp_path / "cut"
    process = start(ALONE, [*job, f"--output-dir={cut}"])
    until = time.monotonic() + 200
    while not list(cut.glob("checkpoint-*")) and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (cut / "model").exists(), "the run was over before it could be killed"

    refused = start(ALONE, [*job, f"--output-dir={cut}"])
    output, errors = refused.communicate(timeout=200)
    assert refused.returncode == 2
    assert "--resume" in output + errors
    assert "Traceback" not in output + errors
    finish(ALONE, [*job, f"--output-dir={cut}", "--resume"])
    alone, resumed = weights(tmp_path / "alone"), weights(cut)
    assert all(torch.equal(alone[name], resumed[name]) for name in alone)
    assert (cut / "report.html").exists()


@pytest.mark.parametrize("sharding", ["none", "fsdp2"])
def test_two_processes_write_one_model_and_one_report(
    job: list[str], tmp_path: Path, sharding: str
) -> None:
    finish(ALONE, [*job, f"--output-dir={tmp_path / 'one'}"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = "accordant" if sharding == "none" else "tests.training.sharded_command"
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    launcher += ["-m", command]
    options = [*job, "--device=cpu", f"--sharding={sharding}", f"--output-dir={tmp_path / 'two'}"]
    output = finish(launcher, options)
    assert output.count("Report:") == 1
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, weight in one.items():
        assert (two[name] - weight).abs().max() < 1e-4, name
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("one", "two")]
    margins = [report["held_out"]["reward_margins"]["values"] for report in reports]
    assert margins[1] == pytest.approx(margins[0], abs=1e-2)
