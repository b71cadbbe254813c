"""Settings of `accordant align`: the one model behind its options, its YAML files and its docs.

Knows names, types, defaults and ranges. Imports no torch, so that `--help` is instant; whether the
values fit the data, the model and the machine is judged by `training.align`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from accordant.config import Settings, setting
from accordant.objectives.registry import list_objectives


def _objective_names() -> list[str]:
    return [entry.name for entry in list_objectives()]


class AlignConfig(Settings):
    """What `accordant align` is told."""

    data: str | None = setting(
        None,
        "Feedback to learn from: a JSONL, Parquet or CSV file, a folder of them, the id of a data "
        "set on the Hugging Face hub, or `bundled` for the small set that comes with accordant.",
        panel="Data",
        default_text="required",
    )
    split: str = setting("train", "Split to read where the data has splits.", panel="Data")
    record_type: (
        Literal[
            "demonstration",
            "binary",
            "comparison",
            "ranking",
            "rating",
            "judgment",
            "joint_pair",
            "steps",
        ]
        | None
    ) = setting(
        None,
        "Kind of feedback in the data.",
        panel="Data",
        default_text="recognised from the columns",
    )
    columns: dict[str, str] = setting(
        {},
        "Column that holds a field, for data with other column names; repeatable: "
        "`--columns prompt=question`.",
        panel="Data",
    )
    on_bad_row: Literal["error", "skip"] = setting(
        "error",
        "What to do about a row that cannot be used: stop, or leave it out and report the count.",
        panel="Data",
    )
    held_out: float = setting(
        0.1,
        "Share of the rows kept from training and used to measure its effect.",
        panel="Data",
        ge=0,
        lt=1,
    )
    max_length: int | None = setting(
        None,
        "Longest allowed example: prompt and one answer, in tokens.",
        panel="Data",
        default_text="what the model can read",
        gt=0,
    )
    truncation: Literal["error", "drop", "truncate-prompt-left"] = setting(
        "error",
        "What to do about longer examples: stop, leave them out, or cut the prompt's beginning. "
        "The count is printed.",
        panel="Data",
    )

    model: str = setting(
        "embedded",
        "Model to align: a folder, a GGUF file, a hub id, or `embedded` for the small one that is "
        "installed with accordant.",
        panel="Model",
    )
    lora_rank: int = setting(
        0, "Rank of a LoRA adapter; 0 trains all weights.", panel="Model", ge=0
    )
    lora_alpha: float | None = setting(
        None,
        "Scale of the LoRA adapter.",
        panel="Model",
        default_text="twice the rank",
        gt=0,
    )
    lora_dropout: float = setting(0.0, "Dropout of the LoRA adapter.", panel="Model", ge=0, lt=1)
    precision: Literal["auto", "bf16", "float32"] = setting(
        "auto",
        "Number format of the weights; auto is bf16 where the hardware has it.",
        panel="Model",
    )

    method: str | None = setting(
        None,
        "Objective to train on; `accordant objectives` lists them.",
        panel="Method",
        default_text="the usual one for the kind of feedback",
        suggest=_objective_names,
    )
    options: dict[str, float | int | bool | str] = setting(
        {},
        "Option of the objective; repeatable: `--option beta=0.2`.",
        panel="Method",
        flag="--option",
    )
    objective_file: Path | None = setting(
        None,
        "Python file that registers an objective of your own. It is run like any script.",
        panel="Method",
    )

    learning_rate: float = setting(1e-5, "Peak learning rate.", panel="Training", gt=0)
    epochs: float = setting(1.0, "Passes over the training rows.", panel="Training", gt=0)
    max_steps: int | None = setting(
        None, "Stop after this many optimiser steps.", panel="Training", gt=0
    )
    batch_size: int = setting(8, "Examples per optimiser step and process.", panel="Training", gt=0)
    max_tokens: int = setting(
        4096, "Tokens per packed row; bounds the memory of a step.", panel="Training", gt=0
    )
    gradient_accumulation: int = setting(
        1,
        "Batches whose gradients are added up before an optimiser step; does not change the loss.",
        panel="Training",
        gt=0,
    )
    seed: int = setting(0, "Seed of everything random.", panel="Training", ge=0)

    output_dir: Path = setting(
        Path("outputs/align"), "Folder for the model, checkpoints and report.", panel="Output"
    )
    overwrite: bool = setting(
        False, "Replace what an earlier run left in the output folder.", panel="Output"
    )
    resume: bool = setting(
        False, "Go on from the last checkpoint in the output folder.", panel="Output"
    )
    report: bool = setting(
        True, "Measure the result and write report.html and report.json.", panel="Output"
    )
