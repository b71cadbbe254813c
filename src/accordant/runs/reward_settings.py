"""Settings of `accordant reward`: training a reward model, scoring, measuring and calibrating.

Knows groups, and the few fields that are the verb's own. Knows nothing of torch, models or files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from accordant.base.settings import OUTPUT, OutputSettings, Settings, setting
from accordant.feedback.settings import DATA, FeedbackSettings
from accordant.models.settings import AdapterSettings
from accordant.objectives.settings import METHOD
from accordant.runs.settings import SessionSettings
from accordant.training.settings import (
    TRAINING,
    CheckpointSettings,
    MachineSettings,
    OptimiserSettings,
    TrainingSettings,
)


class RewardLossSettings(Settings):
    """Settings of what a reward learns."""

    loss: str | None = setting(
        None,
        "Loss: bt, margin_bt or scaled_bt of comparisons, regression of ratings.",
        panel=METHOD,
        default_text="bt for comparisons, regression for ratings",
    )
    options: dict[str, float | int | bool | str] = setting(
        {},
        "Option of the loss; repeatable: `--option centring=0`.",
        panel=METHOD,
        flag="--option",
    )
    attributes: tuple[str, ...] = setting(
        (),
        "Rated attribute to learn; repeatable.",
        panel=METHOD,
        default_text="all that are rated",
    )


class RewardTrainConfig(
    CheckpointSettings,
    MachineSettings,
    OptimiserSettings,
    AdapterSettings,
    RewardLossSettings,
    SessionSettings,
    FeedbackSettings,
):
    """Settings of `accordant reward train`."""

    held_out: float = setting(
        0.1,
        "Share of the prompts kept from training, which the reward is measured on.",
        panel=DATA,
        gt=0.0,
        lt=1.0,
    )
    too_long: Literal["error", "drop"] = setting(
        "error",
        "What to do about conversations longer than the model reads: stop, or leave the record "
        "out. They are never cut: a reward is read at the end.",
        panel=DATA,
    )
    learning_rate: float | None = setting(
        None,
        "Peak learning rate.",
        panel=TRAINING,
        gt=0,
        default_text="1e-5, with LoRA 1e-4",
    )
    batch_size: int = setting(
        64, "Records per optimiser step, over all processes.", panel=TRAINING, ge=1
    )
    schedule: Literal["linear", "cosine", "constant"] = setting(
        "cosine", "How the learning rate falls after the warm-up.", panel=TRAINING
    )
    output_dir: Path = setting(
        Path("outputs/reward"), "Folder for the model, checkpoints and report.", panel=OUTPUT
    )

    def training(self) -> TrainingSettings:
        """Return what the trainer needs to know, with the learning rate of rewards."""
        shared = TrainingSettings.model_fields.keys() & type(self).model_fields.keys()
        values = {name: getattr(self, name) for name in shared}
        # A new head learns from nothing, so it takes larger steps than a policy that is there.
        values["learning_rate"] = self.learning_rate or (1e-5 if self.is_full else 1e-4)
        return TrainingSettings(**values)


class RewardEvaluateConfig(OutputSettings, FeedbackSettings):
    """Settings of `accordant reward evaluate` and `accordant reward calibrate`."""

    output_dir: Path = setting(
        Path("outputs/reward-evaluation"), "Folder for the report and its JSON.", panel=OUTPUT
    )


class RewardScoreConfig(FeedbackSettings):
    """Settings of `accordant reward score`."""

    out: Path = setting(Path("scored.jsonl"), "File for the rows with their rewards.", panel=OUTPUT)
    overwrite: bool = setting(False, "Replace the file.", panel=OUTPUT)
    dry_run: bool = setting(False, "Check everything and stop before scoring.", panel=OUTPUT)
