"""Our side of the throughput benchmark: `accordant.training.run.train`, the path `align` takes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, TrainerCallback

from accordant.models import LoraOptions, attach_lora
from accordant.objectives.registry import bind_options, get_objective
from accordant.runs.settings import AlignConfig
from accordant.scoring.frozen import Frozen, cache_scores, freeze
from accordant.scoring.installation import install
from accordant.tokens.examples import Example
from accordant.training.run import train
from accordant.training.sources import DataSet
from accordant.training.trainer import Task


class StepTimer(TrainerCallback):
    """Seconds of every optimiser step, from the start of one to the start of the next."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.marks.append(time.perf_counter())

    def on_train_end(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            # Steps are launched ahead; the last mark waits for all of them.
            torch.cuda.synchronize()
        self.marks.append(time.perf_counter())

    def seconds(self, warmup: int) -> list[float]:
        """Every step but the first `warmup`."""
        steps = [after - before for before, after in zip(self.marks, self.marks[1:], strict=False)]
        return steps[warmup:]


def run(
    folder: str, examples: list[Example], batch: int, steps: int, *, cached: bool, lora: int = 0
) -> tuple[StepTimer, torch.nn.Module]:
    """Train `steps` steps of `batch` examples; `cached` takes the reference from disk.

    With `lora`, an adapter of that rank is trained.
    """
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model = install(attach_lora(model, LoraOptions(lora)) if lora else model)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    objective = get_objective("plackett_luce" if examples[0].kind == "ranking" else "dpo")
    with tempfile.TemporaryDirectory() as output:
        config = AlignConfig(
            data="synthetic",
            output_dir=Path(output),
            max_steps=steps,
            batch_size=batch,
            learning_rate=1e-6,
            token_budget=1 << 20,
            # A few steps would not earn it; what is measured is the step of a long run.
            compile="on" if torch.cuda.is_available() else "auto",
            save_steps=10_000,
            logging_steps=1,
            eval_steps=10_000,
        )
        reference = (
            Frozen(
                cache_scores(
                    model,
                    examples,
                    folder=Path(output) / "cache",
                    tokenizer="synthetic",
                    rendering="synthetic",
                    precision=config.precision,
                    token_budget=4096,
                )
            )
            if cached
            else freeze(model, config.precision)
        )
        task = Task(DataSet(examples, batch), (), objective, bind_options(objective, {}), reference)
        timer = StepTimer()
        train(model, task, config, callbacks=[timer])
    return timer, model
