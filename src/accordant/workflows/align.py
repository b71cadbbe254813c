"""The story of `accordant align`: from feedback to a trained model and a report on its effect.

Composes the rooms below. Data, options and folders are checked before any weight is loaded.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.errors import UserError
from accordant.training.config import AlignConfig

if TYPE_CHECKING:
    from rich.console import Console
    from transformers import PreTrainedTokenizerBase

    from accordant.data.loading import Feedback
    from accordant.data.rendering import Encoded
    from accordant.objectives.registry import Objective

DEFAULT_METHODS = {
    "comparison": "dpo",
    "demonstration": "sft",
    "binary": "kto",
    "ranking": "plackett_luce",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is known before weights are loaded."""

    train: Feedback
    held_out: Feedback | None
    objective: Objective
    options: Mapping[str, Any]
    tokenizer: PreTrainedTokenizerBase
    encoded: Encoded
    encoded_held_out: Encoded | None


@dataclass(frozen=True, slots=True)
class AlignOutcome:
    """What a run, or a dry run, tells at its end (JSON values only)."""

    dry_run: bool
    method: str
    options: Mapping[str, Any]
    train: int
    held_out: int
    tokens: int
    steps: int
    model: str | None = None
    report: str | None = None
    summary: str = ""


def _bundled(name: str) -> str:
    """Path of a bundled feedback file."""
    return str(importlib.resources.files("accordant.data") / "bundled" / f"{name}.jsonl")


def _load(config: AlignConfig) -> tuple[Feedback, Feedback | None]:
    from accordant.data.loading import load_feedback
    from accordant.data.splitting import split_feedback

    def read(source: str, split: str | None) -> Feedback:
        return load_feedback(
            source,
            split=split,
            record_type=config.record_type,
            columns=config.columns,
            on_bad_row=config.on_bad_row,
        )

    assert config.data is not None
    if config.data == "bundled":
        return read(_bundled("feedback"), None), read(_bundled("held_out"), None)
    feedback = read(config.data, config.split)
    if config.held_out_data is not None:
        return feedback, read(config.held_out_data, None)
    if config.held_out == 0:
        return feedback, None
    return split_feedback(feedback, config.held_out, config.seed)


def _objective(config: AlignConfig, feedback: Feedback) -> Objective:
    from accordant.objectives.feedback import check_feedback
    from accordant.objectives.registry import get_objective, load_objective_file

    if config.objective_file is not None:
        load_objective_file(config.objective_file)
    name = config.method or DEFAULT_METHODS.get(feedback.record_type)
    if name is None:
        raise UserError(
            f"no objective is the usual one for {feedback.record_type} records.",
            where="--method",
            mend="Name one; `accordant objectives` lists them.",
        )
    objective = get_objective(name)
    check_feedback(objective, {feedback.record_type}, where=feedback.source)
    return objective


def prepare(config: AlignConfig) -> Prepared:
    """Check data, options and the output folder, and encode the data; loads no weights.

    Raises:
        UserError: anything the user can mend.
    """
    from accordant.data.rendering import Rendering, encode
    from accordant.models.loading import load_tokenizer
    from accordant.models.saving import check_output_folder
    from accordant.objectives.registry import bind_options

    train, held_out = _load(config)
    objective = _objective(config, train)
    options = bind_options(objective, config.options)
    check_output_folder(config.output_dir, overwrite=config.overwrite or config.resume)
    tokenizer = load_tokenizer(
        config.model, revision=config.revision, trust_remote_code=config.trust_remote_code
    )

    def encoded(feedback: Feedback) -> Encoded:
        return encode(
            feedback.records,
            tokenizer,
            Rendering(),
            max_tokens=config.max_length or _longest(tokenizer),
            truncation=config.truncation,
            mismatched=objective.mismatched,
        )

    return Prepared(
        train,
        held_out,
        objective,
        options,
        tokenizer,
        encoded(train),
        encoded(held_out) if held_out is not None else None,
    )


def _longest(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The tokenizer's own limit; absurdly large ones stand for none."""
    limit = int(tokenizer.model_max_length)
    return limit if limit < 10**7 else None


def _print_plan(config: AlignConfig, ready: Prepared, steps: int, console: Console) -> None:
    from accordant.data.statistics import describe_lengths

    for feedback in (ready.train, ready.held_out):
        for line in feedback.describe_skipped() if feedback is not None else ():
            console.print(line, markup=False)
    for encoded in (ready.encoded, ready.encoded_held_out):
        for line in encoded.describe_limits() if encoded is not None else ():
            console.print(line, markup=False)
    tokens = sum(example.num_tokens for example in ready.encoded.examples)
    held_out = len(ready.encoded_held_out.examples) if ready.encoded_held_out else 0
    console.print(
        f"{ready.objective.name} on {len(ready.encoded.examples):,} {ready.train.record_type} "
        f"records ({tokens:,} tokens), {held_out:,} held out; {steps:,} steps of "
        f"{config.batch_size}; output in {config.output_dir}",
        markup=False,
        highlight=False,
    )
    if config.dry_run:
        for line in describe_lengths(ready.encoded.lengths, config.max_length):
            console.print(line, markup=False, highlight=False)


def run_align(config: AlignConfig, *, dry_run: bool, console: Console) -> AlignOutcome:
    """Validate, train, save, measure and report.

    Args:
        config: settings of the run.
        dry_run: stop after the plan, before weights are loaded.
        console: where people read along.

    Raises:
        UserError: anything the user can mend.
    """
    from accordant.training.arguments import count_steps

    ready = prepare(config)
    steps = count_steps(config, len(ready.encoded.examples))
    _print_plan(config, ready, steps, console)
    held_out = ready.encoded_held_out
    planned = AlignOutcome(
        dry_run=dry_run,
        method=ready.objective.name,
        options=dict(ready.options),
        train=len(ready.encoded.examples),
        held_out=len(held_out.examples) if held_out else 0,
        tokens=sum(example.num_tokens for example in ready.encoded.examples),
        steps=steps,
    )
    if dry_run:
        return planned
    from accordant.workflows.run import execute

    return execute(config, ready, planned, console)


def model_folder(config: AlignConfig) -> Path:
    """Where the trained model is written."""
    return config.output_dir / "model"
