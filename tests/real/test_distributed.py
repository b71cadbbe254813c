"""Two processes give the run of one: copies of the model (DDP) and a model in shards (FSDP2)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.training import worker

# 16 examples in batches of 5: batches that split unevenly, and a last one with a single example,
# for which one of two processes has nothing to do.
SETTINGS: dict[str, Any] = {"max_steps": 5, "batch_size": 5, "token_budget": 48, "eval_steps": 5}
KINDS = {
    "dpo": {"method": "dpo"},
    "kto": {"method": "kto"},
    "tied": {"method": "dpo", "family": "llama-tied-bias"},
    "adapter": {"method": "dpo", "lora": 4, "dropout": 0.0},
}
SHARING = {
    "copies": ({}, ("dpo", "kto", "adapter")),
    "shards": ({"sharding": "fsdp2"}, ("dpo", "kto", "tied", "adapter")),
    "compiled copies": ({"compile": "on"}, ("dpo", "adapter")),
    "compiled shards": ({"sharding": "fsdp2", "compile": "on"}, ("dpo", "adapter")),
}


def jobs(folder: Path, kinds: tuple[str, ...], **settings: Any) -> list[dict[str, Any]]:
    return [
        {
            "folder": str(folder),
            "name": kind,
            "settings": {**SETTINGS, "output_dir": str(folder / f"out-{kind}"), **settings},
            **KINDS[kind],
        }
        for kind in kinds
    ]


def launch(folder: Path, work: list[dict[str, Any]]) -> None:
    """Run jobs one after another with two processes on gloo."""
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    done = subprocess.run(
        [sys.executable, "-m", *command, "tests.training.worker", json.dumps(work)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-6000:]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of run in one process."""
    folder = tmp_path_factory.mktemp("alone")
    for job in jobs(folder, tuple(KINDS)):
        worker.main(job)
    return folder


@pytest.mark.parametrize("sharing", SHARING)
def test_two_processes_give_the_run_of_one(sharing: str, alone: Path, tmp_path: Path) -> None:
    settings, kinds = SHARING[sharing]
    launch(tmp_path, jobs(tmp_path, kinds, **settings))
    for kind in kinds:
        assert_same_run(alone, tmp_path, kind)


def test_a_sharded_run_resumed_gives_the_same_weights_bit_by_bit(tmp_path: Path) -> None:
    work = jobs(tmp_path, ("dpo", "adapter"), sharding="fsdp2", save_steps=2)
    launch(tmp_path, work)
    whole = {job["name"]: load_file(tmp_path / f"{job['name']}.safetensors") for job in work}
    for job in work:
        shutil.rmtree(tmp_path / f"out-{job['name']}" / "checkpoint-4")
        job["settings"]["resume"] = True
    launch(tmp_path, work)
    for name, weights in whole.items():
        resumed = json.loads((tmp_path / f"{name}.json").read_text())["resumed"]
        assert resumed.endswith("checkpoint-2")
        for key, weight in load_file(tmp_path / f"{name}.safetensors").items():
            assert weight.equal(weights[key]), (name, key)


def assert_same_run(alone: Path, together: Path, kind: str) -> None:
    one, two = (
        json.loads((folder / f"{kind}.json").read_text())["history"] for folder in (alone, together)
    )
    trained = [[row for row in history if "loss" in row] for history in (one, two)]
    assert len(trained[0]) == len(trained[1]) == SETTINGS["max_steps"]
    names = {"loss", "grad_norm", "num_tokens", "learning_rate", *trained[0][0]}
    for mine, theirs in zip(*trained, strict=True):
        for name in names - {"tokens_per_second"}:
            if name in mine:
                assert theirs[name] == pytest.approx(mine[name], rel=1e-5, abs=1e-5), (kind, name)
    held_out = [next(row for row in history if "eval_loss" in row) for history in (one, two)]
    for name, value in held_out[0].items():
        if name != "eval_runtime":
            assert held_out[1][name] == pytest.approx(value, rel=1e-5, abs=1e-5), (kind, name)
    weights, others = (load_file(folder / f"{kind}.safetensors") for folder in (alone, together))
    assert weights.keys() == others.keys()
    for name, weight in weights.items():
        assert (weight - others[name]).abs().max() < 1e-5, (kind, name)
