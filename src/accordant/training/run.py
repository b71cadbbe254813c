"""Train a prepared model on examples: the part of a run between loading and evaluating.

Knows the trainer, checkpoints and settings. Knows nothing of files of feedback, text or reports.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainingArguments

from accordant.base.errors import UserError
from accordant.models.adapters import base_model_of
from accordant.models.settings import AdapterSettings
from accordant.objectives.feedback import check_sampling
from accordant.scoring.apart import sharing_of
from accordant.scoring.compilation import compiled_layers, static_lengths
from accordant.scoring.engine import is_installed
from accordant.scoring.installation import install
from accordant.training import checkpoints
from accordant.training.arguments import count_steps, optimizer_choice, training_arguments
from accordant.training.memory import peak_bytes
from accordant.training.plan import row_sizes, why_not_compiled
from accordant.training.progress import ProgressReporter
from accordant.training.settings import OptimiserSettings, TrainingSettings
from accordant.training.trainer import AlignTrainer, Task

if TYPE_CHECKING:
    from rich.console import Console

    from accordant.objectives.registry import Objective
    from accordant.training.sources import Source

# Settings a resumed run must share with the one it continues; the others change no number.
SHARED = (
    {*AdapterSettings.model_fields, *OptimiserSettings.model_fields}
    | {"precision", "optimizer_moments", "baseline_model"}
) - {"gradient_accumulation_steps"}


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What training leaves besides the weights in the model it was given.

    Args:
        history: logged rows, each with `step` and metrics; held-out metrics start with `eval_`.
        steps: optimiser steps done, including those before a resumption.
        tokens: tokens trained on, over all processes and resumptions.
        seconds: wall time of this call's training.
        tokens_per_second: of this call.
        peak_memory_bytes: most memory this process has held, on its accelerator if it has one.
        checkpoint: the last checkpoint; None where none was due.
        resumed_from: the checkpoint this call went on from, or None.
        model: the trained model, unwrapped; under FSDP2 its weights are sharded.
    """

    history: tuple[Mapping[str, float], ...]
    steps: int
    tokens: int
    seconds: float
    tokens_per_second: float
    peak_memory_bytes: int
    checkpoint: Path | None
    resumed_from: Path | None
    model: nn.Module


def train(
    model: nn.Module,
    task: Task,
    settings: TrainingSettings,
    *,
    args: TrainingArguments | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    console: Console | None = None,
) -> TrainResult:
    """Train `model` in place.

    Args:
        model: with its adapter where it has one; prepared for scoring here if it is not yet.
        task: data, objective and reference.
        settings: of the run.
        args: from `training_arguments`; made here when None.
        callbacks: further callbacks of transformers.
        console: where progress is shown; nowhere when None.

    Raises:
        UserError: an objective that needs samples of the policy from a source that gives others,
            loss or gradients that are no numbers, a lack of memory or of disk space, or a
            checkpoint to resume that was made with other settings.
    """
    if not task.source.on_policy and task.head is None:
        check_sampling(task.objective)
    if not is_installed(model):
        install(model)
    args = args or training_arguments(
        settings,
        feedback=task.source.kind,
        steps=count_steps(settings, task.source),
        held_out=len(task.held_out),
    )
    identity = resume_settings(settings, task.objective, task.options, task.source)
    resumed = (
        checkpoints.last_checkpoint(settings.output_dir, identity) if settings.resume else None
    )
    if settings.gradient_checkpointing:
        _checkpoint_activations(model)
    weights = sum(parameter.numel() for parameter in model.parameters())
    shares = not sharing_of(model).reason
    compiles = shares and not why_not_compiled(settings, task.source, weights, args.device)
    with ExitStack() as stack:
        if console is not None:
            reporter = ProgressReporter(console, _compiling(args.device) if compiles else "")
            stack.callback(reporter.close)
            callbacks = [*callbacks, reporter]
        trainer = _trainer(model, args, task, settings, identity, callbacks)
        if compiles:
            stack.enter_context(_compiled(model, task, settings, args))
        started, before = time.perf_counter(), _tokens_of(resumed)
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
        trainer.check_steps()
    return _result(trainer, resumed, time.perf_counter() - started, before)


def _trainer(
    model: nn.Module,
    args: TrainingArguments,
    task: Task,
    settings: TrainingSettings,
    identity: Mapping[str, Any],
    callbacks: Sequence[TrainerCallback],
) -> AlignTrainer:
    trainer = AlignTrainer(
        model,
        args,
        task,
        token_budget=settings.token_budget,
        settings=identity,
        callbacks=[*callbacks, _NoLastCheckpoint()],
        optimizer=optimizer_choice(settings, args),
        probe=settings.probe,
    )
    if settings.sharding == "fsdp2" and not trainer.is_fsdp_enabled:
        # accelerate shards on accelerators only; elsewhere it silently keeps whole copies.
        raise UserError(
            f"accelerate does not shard on {args.device.type}.",
            where="--sharding",
            mend="Use --sharding none, or machines with GPUs.",
        )
    return trainer


def _compiling(device: torch.device) -> str:
    seconds = {"cuda": 20, "cpu": 10}[device.type]
    return f"compiling the layers, about {seconds} s, once"


def _compiled(
    model: nn.Module, task: Task, settings: TrainingSettings, args: TrainingArguments
) -> AbstractContextManager[None]:
    """Compile the layers of all models that a step runs."""
    frozen = task.reference.source if task.reference is not None else None
    models = [model]
    if isinstance(frozen, nn.Module) and base_model_of(frozen) is not base_model_of(model):
        models.append(frozen)
    if args.device.type != "cuda":
        # Filling rows up would cost what it is to save: one code for rows of any length.
        return compiled_layers(models)
    rows = row_sizes(task.source, settings, args.world_size)
    return compiled_layers(models, static_lengths(max(rows, default=settings.token_budget)))


def resume_settings(
    settings: TrainingSettings, objective: Objective, options: Mapping[str, Any], source: Source
) -> dict[str, Any]:
    """Return what a checkpoint of this run must have been made with, JSON values by name."""
    known = settings.model_dump(mode="json")
    return {
        **{name: known[name] for name in sorted(SHARED)},
        "objective": objective.name,
        "options": dict(options),
        **source.identity(),
    }


class _NoLastCheckpoint(TrainerCallback):
    """Leave out the checkpoint transformers adds after the last step: the model itself is saved."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step >= state.max_steps and state.global_step % args.save_steps:
            control.should_save = False


def _result(
    trainer: AlignTrainer, resumed: Path | None, seconds: float, before: int
) -> TrainResult:
    tokens = trainer.state.num_input_tokens_seen
    kept = checkpoints.list_checkpoints(Path(trainer.args.output_dir))
    return TrainResult(
        history=tuple(trainer.state.log_history),
        steps=trainer.state.global_step,
        tokens=tokens,
        seconds=seconds,
        tokens_per_second=(tokens - before) / max(seconds, 1e-9),
        peak_memory_bytes=peak_bytes(),
        checkpoint=kept[-1] if kept else None,
        resumed_from=resumed,
        model=trainer.accelerator.unwrap_model(trainer.model),
    )


def _tokens_of(checkpoint: Path | None) -> int:
    if checkpoint is None:
        return 0
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    return int(state.num_input_tokens_seen)


def _checkpoint_activations(model: nn.Module) -> None:
    # transformers renamed the method in 5.20.
    names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
    enable: Any = next(getattr(model, name) for name in names if hasattr(model, name))
    enable({"use_reentrant": False})
