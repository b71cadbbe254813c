"""Settings of training: the optimiser, the machine, checkpoints and what is kept beside the policy.

Knows names, ranges and defaults. Knows nothing of torch, feedback or files, so that help is
instant. `TrainingSettings` is all that a training run needs besides its examples and objective.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from accordant.base.settings import OUTPUT, OutputSettings, Settings, setting
from accordant.models.settings import MEMORY, AdapterSettings, ModelSettings
from accordant.objectives.settings import METHOD

TRAINING = "Training"


class PreparationSettings(Settings):
    """Settings of what some objectives need before the first step."""

    baseline_model: tuple[str, ...] = setting(
        (),
        "Frozen model to compare the policy with, for objectives that do; repeatable. Named like "
        "--model; its tokenizer may be another one.",
        panel=METHOD,
    )
    self_sample_tokens: int = setting(
        128,
        "Most tokens of an answer of the start model, for objectives that learn from its answers.",
        panel=METHOD,
        ge=1,
    )


class ReferenceSettings(Settings):
    """Settings of the frozen reference that objectives compare the policy with."""

    reference: Literal["cached", "online"] = setting(
        "cached",
        "Reference log-probabilities: computed once and kept on disk, or within every step.",
        panel=METHOD,
    )
    cache_dir: Path | None = setting(
        None,
        "Folder of cached reference scores.",
        panel=METHOD,
        default_text="cache/ in the output folder",
    )


class OptimiserSettings(Settings):
    """Settings of the optimiser: how long, how fast, and from which seed."""

    epochs: float = setting(1.0, "Passes over the feedback.", panel=TRAINING, gt=0)
    max_steps: int | None = setting(
        None, "Optimiser steps, whatever the epochs.", panel=TRAINING, ge=1
    )
    batch_size: int = setting(
        16,
        "Examples per optimiser step, over all processes. It never decides memory: "
        "--token-budget does.",
        panel=TRAINING,
        ge=1,
    )
    gradient_accumulation_steps: int = setting(
        1,
        "Parts a step's batch is split into. Seldom of use here, as a step is split by "
        "--token-budget anyway; never changes the loss.",
        panel=TRAINING,
        ge=1,
    )
    optimizer: str | None = setting(
        None,
        "adamw; compensated (AdamW that loses no update of bfloat16 weights); adamw-8bit (needs "
        "torchao); or torch:NAME, an optimiser of torch.optim.",
        panel=TRAINING,
        default_text="compensated for bfloat16 weights, else adamw",
    )
    learning_rate: float | None = setting(
        None,
        "Peak learning rate.",
        panel=TRAINING,
        gt=0,
        default_text="1e-6, for demonstrations and judgments 2e-5, with LoRA ten times that",
    )
    schedule: Literal["linear", "cosine", "constant"] = setting(
        "linear", "How the learning rate falls after the warm-up.", panel=TRAINING
    )
    warmup: float = setting(
        0.1, "Share of the steps over which it rises from zero.", panel=TRAINING, ge=0, lt=1
    )
    weight_decay: float = setting(0.0, "Decoupled weight decay.", panel=TRAINING, ge=0)
    adam_beta1: float = setting(
        0.9, "Decay of the gradient's running mean.", panel=TRAINING, ge=0, lt=1
    )
    adam_beta2: float = setting(
        0.999, "Decay of the squared gradient's running mean.", panel=TRAINING, ge=0, lt=1
    )
    adam_epsilon: float = setting(
        1e-8, "Added to the root of the squared gradient's mean.", panel=TRAINING, gt=0
    )
    max_grad_norm: float = setting(
        1.0, "Gradients are scaled down to this norm; 0 leaves them.", panel=TRAINING, ge=0
    )
    seed: int = setting(0, "Seed of the data order, the adapter and the samples.", panel=TRAINING)


class MachineSettings(Settings):
    """Settings of fitting a training step into memory and onto several processes."""

    gradient_checkpointing: bool = setting(
        False, "Recompute activations in the backward pass: less memory, slower.", panel=MEMORY
    )
    compile: Literal["auto", "on", "off"] = setting(
        "auto",
        "Compile the model's layers once before training; auto does where that is quicker and the "
        "run long enough to earn it.",
        panel=MEMORY,
    )
    optimizer_moments: Literal["bf16", "float32"] = setting(
        "bf16",
        "Format of the optimiser's moments of bfloat16 weights: 6 or 10 bytes of state a weight.",
        panel=MEMORY,
    )
    sharding: Literal["none", "fsdp2"] = setting(
        "none",
        "With several processes: a whole copy of the model in each (none), or its weights, "
        "gradients and optimiser state split among them (fsdp2).",
        panel=MEMORY,
    )
    probe: bool = setting(
        False,
        "Try the largest pass before training, to meet a lack of memory at once.",
        panel=MEMORY,
    )


class CheckpointSettings(OutputSettings):
    """Settings of what a training run writes while it goes on."""

    output_dir: Path = setting(
        Path("outputs/align"), "Folder for the model, checkpoints and report.", panel=OUTPUT
    )
    resume: bool = setting(
        False, "Go on from the last complete checkpoint in the output folder.", panel=OUTPUT
    )
    logging_steps: int = setting(5, "Steps between log lines.", panel=OUTPUT, ge=1)
    save_steps: int | None = setting(
        None,
        "Steps between checkpoints.",
        panel=OUTPUT,
        ge=1,
        default_text="ten in the run, at most 500 steps apart",
    )
    save_total_limit: int = setting(
        2, "Checkpoints to keep; older ones are removed.", panel=OUTPUT, ge=1
    )
    report_to: tuple[str, ...] = setting(
        (),
        "Tracker to log to: tensorboard, wandb (`pip install 'accordant[wandb]'`) or another that "
        "transformers knows; repeatable.",
        panel=OUTPUT,
    )
    eval_steps: int | None = setting(
        None,
        "Steps between evaluations on the held-out rows.",
        panel="Evaluation",
        ge=1,
        default_text="ten times in the run",
    )


# Fields stand in help and in YAML from the last base to the first, as pydantic collects them.
class TrainingSettings(
    CheckpointSettings,
    MachineSettings,
    OptimiserSettings,
    ReferenceSettings,
    PreparationSettings,
    AdapterSettings,
    ModelSettings,
):
    """All settings of a training run, besides its examples and its objective."""

    @property
    def cache_folder(self) -> Path:
        """Folder of scores and samples that are computed once."""
        return self.cache_dir or self.output_dir / "cache"

    @property
    def optimizer_name(self) -> str:
        """The optimiser as given, or its default."""
        halved = self.precision == "bf16" and self.is_full
        return self.optimizer or ("compensated" if halved else "adamw")

    def peak_learning_rate(self, feedback: str) -> float:
        """Return the learning rate as given, or its default.

        Preferences move weights little and unlearn at rates that suit imitation, so their default
        is the smaller one; judgments are mostly imitated. LoRA's best rate is about ten times that
        of full fine-tuning, over many models and sizes (Schulman et al. 2025, "LoRA without
        regret").

        Args:
            feedback: record type of the data, a name of `feedback.kinds`.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        base = 2e-5 if feedback in ("demonstration", "judgment") else 1e-6
        return base if self.is_full else 10 * base
