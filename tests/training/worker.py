"""Tiny runs in processes of their own: `python -m tests.training.worker '<json>'`, or by torchrun.

The JSON is a list of jobs, run one after another. A job holds: name, folder, method, family, lora
(rank), kill (`after step N` or `while writing N`) and settings of the run. The main process leaves
`<folder>/<name>.json` (the logged rows) and `<folder>/<name>.safetensors` (the weights).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import DistributedType, PartialState
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from accordant.base.processes import is_main_process
from accordant.models.adapters import LoraOptions, attach_lora
from accordant.scoring.compilation import compiled_layers
from accordant.scoring.installation import install
from accordant.training import checkpoints, run
from accordant.training.arguments import training_arguments
from accordant.training.processes import leave_processes
from tests.families import tiny_model
from tests.training.runs import make_config, make_task


class KillAfter(TrainerCallback):
    """Ends the process as `kill -9` does, after a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


def kill_while_writing(step: int) -> None:
    """End the process in the middle of a checkpoint, when half of a file is on the disk."""
    commit = checkpoints._commit

    def killed(staged: Path, final: Path, settings: Any) -> None:
        if checkpoints.step_of(final) == step:
            largest = max(staged.iterdir(), key=lambda path: path.stat().st_size)
            os.truncate(largest, largest.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        commit(staged, final, settings)

    checkpoints._commit = killed


def allow_sharding_on_cpu() -> None:
    """Let accelerate shard over gloo: it asks for a kind of accelerator and needs none."""
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


def whole(weight: torch.Tensor) -> torch.Tensor:
    """A weight's own copy, gathered where it is sharded."""
    full = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
    return full.detach().clone()


def main(job: dict[str, Any]) -> None:
    folder = Path(job["folder"])
    model = tiny_model(job.get("family", "llama"))
    rank = job.get("lora", 0)
    if rank:
        model = attach_lora(model, LoraOptions(rank=rank, alpha=16.0, dropout=job["dropout"]))
    install(model, verify=False)
    config = make_config(folder, lora_rank=rank, **job["settings"])
    # Joins the process group, so that the reference is computed by all processes together.
    args = training_arguments(config, feedback="comparison", steps=config.max_steps, held_out=6)
    if config.sharding == "fsdp2":
        allow_sharding_on_cpu()
    if config.compile == "on":
        # The compiler's front end, with torch's own operators behind it: quick, and needs no C++.
        run.compiled_layers = partial(compiled_layers, backend="eager")
    task = make_task(
        job["method"], model, folder / f"cache-{job['name']}", batch_size=config.batch_size
    )
    kill = job.get("kill", "")
    number = int(kill.split()[-1]) if kill else 0
    if kill.startswith("while writing"):
        kill_while_writing(number)
    callbacks = [KillAfter(number)] if kill.startswith("after step") else []
    result = run.train(model, task, config, args=args, callbacks=callbacks)
    if config.sharding == "fsdp2":
        assert all(isinstance(p, DTensor) for p in result.model.parameters())
    weights = {name: whole(weight) for name, weight in result.model.state_dict().items()}
    if is_main_process():
        rows = {"history": result.history, "resumed": str(result.resumed_from or "")}
        (folder / f"{job['name']}.json").write_text(json.dumps(rows))
        save_file(weights, folder / f"{job['name']}.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for job in json.loads(sys.argv[1]):
        main(job)
    leave_processes()
