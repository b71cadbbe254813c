"""A step asks nothing of the device that the host would have to wait for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import TrainerCallback

from accordant.training import optimizer
from accordant.training.run import train
from tests.training.runs import KINDS, make_config, make_model, make_task

# Operators whose result, or its size, is a number the host reads.
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "unique_consecutive", "equal"}
SIZED = "repeat_interleave"  # without being told how many come of it


class Reads(TorchDispatchMode):
    """Counts the operators that a device would have to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = function.overloadpacket._qualified_op_name.split("::")[1]
        with_mask = name == "index" and any(
            i is not None and i.dtype == torch.bool for i in args[1]
        )
        unsized = name == SIZED and (kwargs or {}).get("output_size") is None
        if name in WAITING or with_mask or unsized:
            self.found[name] += 1
        return function(*args, **(kwargs or {}))


class Watch(TrainerCallback):
    """Watches the steps between two log lines."""

    def __init__(self, mode: Any) -> None:
        self.mode = mode

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.mode.__enter__()

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        if not torch.cuda.is_available():
            self.mode.__exit__(None, None, None)

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            self.mode.__exit__(None, None, None)


@pytest.mark.parametrize("method", ["dpo", "kto", "sft"])
def test_no_number_is_read_between_log_lines(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a processor, as if its weights were updated by the kernel that leaves bad steps out."""
    monkeypatch.setattr("accordant.training.trainer.scale_next_step", lambda *_: True)
    model, reads = make_model().bfloat16(), Reads()
    config = make_config(tmp_path, precision="bf16", logging_steps=100, warmup=0.0)
    task = make_task(method, model, tmp_path / "cache")
    train(model, task, config, callbacks=[Watch(reads)])
    assert not reads.found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("method", sorted(KINDS))
def test_a_step_on_a_gpu_waits_for_nothing(method: str, tmp_path: Path) -> None:
    class Strict:
        def __enter__(self) -> None:
            torch.cuda.set_sync_debug_mode("error")

        def __exit__(self, *_: Any) -> None:
            torch.cuda.set_sync_debug_mode("default")

    assert optimizer.has_kernel(torch.device("cuda"))
    model = make_model().bfloat16().cuda()
    config = make_config(tmp_path, precision="bf16", logging_steps=100, device="auto")
    train(model, make_task(method, model, tmp_path / "cache"), config, callbacks=[Watch(Strict())])
