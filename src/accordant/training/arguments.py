"""From our settings to `transformers.TrainingArguments`.

Knows both vocabularies. Knows nothing of models or losses.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.training.settings import AlignConfig

if TYPE_CHECKING:
    import torch
    from transformers import TrainingArguments


def count_steps(config: AlignConfig, examples: int) -> int:
    """Optimiser steps of a run on so many training examples."""
    if config.max_steps is not None:
        return config.max_steps
    return math.ceil(config.epochs * math.ceil(examples / config.batch_size))


def evaluation_interval(config: AlignConfig, steps: int) -> int:
    """Steps between evaluations: as set, or a tenth of the run."""
    return config.eval_steps or max(1, steps // 10)


def training_arguments(
    config: AlignConfig, *, feedback: str, examples: int, held_out: int
) -> TrainingArguments:
    """Arguments of `AlignTrainer`; in a distributed run this also joins the process group.

    Args:
        config: settings of the run.
        feedback: record type of the data.
        examples: number of training examples.
        held_out: number of held-out examples.

    Raises:
        UserError: settings that do not fit the number of processes.
    """
    from transformers import TrainingArguments

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    shares = processes * config.gradient_accumulation_steps
    steps = count_steps(config, examples)
    constant = "constant_with_warmup" if config.warmup else "constant"
    return TrainingArguments(
        output_dir=str(config.output_dir),
        # Only named in transformers' own messages: `AlignTrainer` divides each step's batch itself.
        per_device_train_batch_size=-(-config.batch_size // shares),
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        learning_rate=config.peak_learning_rate(feedback),
        lr_scheduler_type=constant if config.schedule == "constant" else config.schedule,
        warmup_steps=round(config.warmup * steps),
        weight_decay=config.weight_decay,
        adam_beta1=config.adam_beta1,
        adam_beta2=config.adam_beta2,
        adam_epsilon=config.adam_epsilon,
        max_grad_norm=config.max_grad_norm,
        optim="adamw_torch_fused",
        seed=config.seed,
        bf16=config.precision == "bf16-mixed",
        use_cpu=config.device == "cpu",
        logging_steps=config.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_steps=config.save_steps,
        save_total_limit=config.save_total_limit,
        eval_strategy="steps" if held_out else "no",
        eval_steps=evaluation_interval(config, steps) if held_out else None,
        report_to=list(config.report_to) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
        **_sharding(config, processes),
    )


def optimizer_choice(
    config: AlignConfig, args: TrainingArguments
) -> tuple[type[torch.optim.Optimizer], dict[str, Any]] | None:
    """The optimiser that keeps small updates of bfloat16 weights, where there are any.

    None leaves transformers its fused AdamW: with float32 weights, with a float32 adapter, and with
    DeepSpeed, which keeps float32 weights of its own.
    """
    if config.precision != "bf16" or not config.is_full or args.deepspeed:
        return None
    import torch

    from accordant.training.optimizer import CompensatedAdamW

    moments = torch.float32 if config.optimizer_moments == "float32" else torch.bfloat16
    return CompensatedAdamW, {
        "lr": args.learning_rate,
        "betas": (config.adam_beta1, config.adam_beta2),
        "eps": config.adam_epsilon,
        "moments": moments,
    }


def _sharding(config: AlignConfig, processes: int) -> dict[str, Any]:
    if config.sharding == "none":
        return {}
    if processes == 1:
        raise UserError(
            "sharding divides a model among processes and there is one.",
            where="--sharding",
            mend="Launch with `torchrun --nproc-per-node N -m accordant align ...`.",
        )
    settings = {"version": 2, "auto_wrap_policy": "TRANSFORMER_BASED_WRAP"}
    return {"fsdp": True, "fsdp_config": settings}
