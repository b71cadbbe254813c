"""From our settings to `transformers.TrainingArguments`.

Knows both vocabularies. Knows nothing of models or losses.
"""

from __future__ import annotations

import importlib.util
import math
import os
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.training.settings import CheckpointSettings, OptimiserSettings, TrainingSettings

if TYPE_CHECKING:
    import torch
    from transformers import TrainingArguments

    from accordant.training.sources import Source


# Trackers that are an extra of this package.
EXTRAS = ("tensorboard", "wandb")


def count_steps(settings: OptimiserSettings, source: Source) -> int:
    """Count the optimiser steps of a run.

    Raises:
        UserError: the source has no end, and no number of steps is set.
    """
    if settings.max_steps is not None:
        return settings.max_steps
    if source.steps is None:
        raise UserError(
            "the examples are made as training goes on, and nothing says when it ends.",
            where="--max-steps",
            mend="Give the number of optimiser steps.",
        )
    return math.ceil(settings.epochs * source.steps)


def evaluation_interval(settings: CheckpointSettings, steps: int) -> int:
    """Return the steps between evaluations: as set, or a tenth of the run."""
    return settings.eval_steps or max(1, steps // 10)


def save_interval(settings: CheckpointSettings, steps: int) -> int:
    """Return the steps between checkpoints: as set, or a tenth of the run, 500 at most."""
    # Rounded up: a short run is not to spend its time on writing more than ten.
    return settings.save_steps or min(500, -(-steps // 10))


def check_machine(settings: TrainingSettings, device: torch.device) -> None:
    """Refuse, before weights are loaded, what is not installed or this machine cannot do.

    Args:
        settings: of the run.
        device: the model will be on.

    Raises:
        UserError: a tracker or an optimiser that is not there, sharding of one process, or
            bfloat16 arithmetic on a GPU without it.
    """
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )
    from transformers.utils import is_torch_bf16_gpu_available

    for tracker in {*settings.report_to} - {"none", "all"}:
        if tracker not in INTEGRATION_TO_CALLBACK:
            raise UserError(
                f"there is no tracker {tracker!r}.",
                where="--report-to",
                mend=f"Known: {', '.join(sorted(INTEGRATION_TO_CALLBACK))}.",
            )
        if tracker not in get_available_reporting_integrations():
            package = f"'accordant[{tracker}]'" if tracker in EXTRAS else tracker.replace("_", "-")
            raise UserError(
                f"{tracker} is not installed.",
                where="--report-to",
                mend=f"pip install {package}",
            )
    find_optimizer(settings.optimizer_name)
    _sharding(settings, _processes())
    mixed = settings.precision == "bf16-mixed"
    if mixed and device.type == "cuda" and not is_torch_bf16_gpu_available():
        raise UserError(
            "this GPU does not compute in bfloat16.", where="--precision", mend="Use float32."
        )


def training_arguments(
    settings: TrainingSettings, *, feedback: str, steps: int, held_out: int
) -> TrainingArguments:
    """Make the arguments of `AlignTrainer`; in a distributed run this also joins the process group.

    Args:
        settings: of the run.
        feedback: record type of the data.
        steps: optimiser steps of the run.
        held_out: number of held-out examples.

    Raises:
        UserError: settings that do not fit the number of processes.
    """
    import torch
    from transformers import TrainingArguments

    processes = _processes()
    shares = processes * settings.gradient_accumulation_steps
    constant = "constant_with_warmup" if settings.warmup else "constant"
    return TrainingArguments(
        output_dir=str(settings.output_dir),
        # Only named in transformers' own messages: `AlignTrainer` divides each step's batch itself.
        per_device_train_batch_size=-(-settings.batch_size // shares),
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.peak_learning_rate(feedback),
        lr_scheduler_type=constant if settings.schedule == "constant" else settings.schedule,
        warmup_steps=round(settings.warmup * steps),
        weight_decay=settings.weight_decay,
        adam_beta1=settings.adam_beta1,
        adam_beta2=settings.adam_beta2,
        adam_epsilon=settings.adam_epsilon,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_8bit" if settings.optimizer == "adamw-8bit" else "adamw_torch_fused",
        seed=settings.seed,
        bf16=settings.precision == "bf16-mixed",
        # Without a GPU transformers refuses bfloat16 arithmetic unless it is told so.
        use_cpu=settings.device == "cpu" or not torch.cuda.is_available(),
        logging_steps=settings.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_steps=save_interval(settings, steps),
        save_total_limit=settings.save_total_limit,
        eval_strategy="steps" if held_out else "no",
        eval_steps=evaluation_interval(settings, steps) if held_out else None,
        report_to=list(settings.report_to) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
        **_sharding(settings, processes),
    )


def optimizer_choice(
    settings: TrainingSettings, args: TrainingArguments
) -> tuple[type[torch.optim.Optimizer], dict[str, Any]] | None:
    """Choose the optimiser and its arguments; None leaves transformers the one `args` names.

    Unless one is named it is the one that keeps small updates of bfloat16 weights, where there are
    any: not with float32 weights, with a float32 adapter, or with DeepSpeed, which keeps float32
    weights of its own.

    Raises:
        UserError: there is no optimiser of that name, or its package is missing.
    """
    import torch

    from accordant.training.optimizer import CompensatedAdamW

    name = "adamw" if args.deepspeed and not settings.optimizer else settings.optimizer_name
    found = find_optimizer(name)
    if found is CompensatedAdamW:
        return CompensatedAdamW, {
            "lr": args.learning_rate,
            "betas": (settings.adam_beta1, settings.adam_beta2),
            "eps": settings.adam_epsilon,
            "moments": torch.float32 if settings.optimizer_moments == "float32" else torch.bfloat16,
        }
    return None if found is None else (found, {"lr": args.learning_rate})


def find_optimizer(name: str) -> type[torch.optim.Optimizer] | None:
    """Return the optimiser's class; None for those that transformers makes.

    Raises:
        UserError: there is no optimiser of that name, or its package is missing.
    """
    import torch

    from accordant.training.optimizer import CompensatedAdamW

    if name == "adamw-8bit" and importlib.util.find_spec("torchao") is None:
        raise UserError(
            "8-bit AdamW is torchao's, which is not installed.",
            where="--optimizer",
            mend="pip install 'accordant[8bit]'",
        )
    if name in ("adamw", "adamw-8bit"):
        return None
    if name == "compensated":
        return CompensatedAdamW
    found = getattr(torch.optim, name.removeprefix("torch:"), None)
    if not (name.startswith("torch:") and isinstance(found, type)):
        raise UserError(
            f"there is no optimiser {name!r}.",
            where="--optimizer",
            mend="Use adamw, compensated, adamw-8bit, or torch: and a name in torch.optim, such as "
            "torch:Adafactor.",
        )
    return found


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _sharding(settings: TrainingSettings, processes: int) -> dict[str, Any]:
    if settings.sharding == "none":
        return {}
    if processes == 1:
        raise UserError(
            "sharding divides a model among processes and there is one.",
            where="--sharding",
            mend="Launch with `torchrun --nproc-per-node N -m accordant align ...`.",
        )
    fsdp = {"version": 2, "auto_wrap_policy": "TRANSFORMER_BASED_WRAP"}
    return {"fsdp": True, "fsdp_config": fsdp}
