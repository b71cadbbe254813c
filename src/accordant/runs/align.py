"""The story of `accordant align`: from feedback to a trained model and a report on its effect.

Composes the rooms below. Data, options and folders are checked before any weight is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.runs.settings import AlignConfig

if TYPE_CHECKING:
    from rich.console import Console
    from transformers import PreTrainedTokenizerBase

    from accordant.feedback.loading import Feedback
    from accordant.objectives.registry import Objective
    from accordant.rewards.reward import Reward
    from accordant.runs.relabel import Relabelled
    from accordant.tokens.rendering import Encoded, Rendering
    from accordant.training.plan import Plan
    from accordant.training.preparations.mechanism import Workbench

DEFAULT_METHODS = {
    "comparison": "dpo",
    "demonstration": "sft",
    "binary": "kto",
    "ranking": "plackett_luce",
    "joint_pair": "dove",
    "judgment": "cut",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is known before weights are loaded.

    Args:
        read: the sources as they were read, before a part was held out.
        train: records to learn from.
        held_out: records to test on, or None.
        objective: the loss.
        options: its options, defaults included.
        judge: who compares answers before and after.
        tokenizer: of the model to train.
        rendering: how records become text.
        encoded: training records in tokens, prepared as far as it takes no model.
        encoded_held_out: held-out records, likewise.
        plan: what the run will do.
        relabelled: what the relabelling made of the feedback, and the questions to ask.
        bench: what the objective's preparations may use.
    """

    read: tuple[Feedback, ...]
    train: Feedback
    held_out: Feedback | None
    objective: Objective
    options: Mapping[str, Any]
    judge: Reward
    tokenizer: PreTrainedTokenizerBase
    rendering: Rendering
    encoded: Encoded
    encoded_held_out: Encoded | None
    plan: Plan
    relabelled: Relabelled
    bench: Workbench


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
    memory_bytes: int
    model: str | None = None
    report: str | None = None
    summary: str = ""


def _read(config: AlignConfig) -> tuple[Feedback, ...]:
    """The feedback to learn from and, where it is named or bundled, that to test on."""
    from accordant.feedback.reading import read_feedback

    feedback, held_out = read_feedback(config)
    if held_out is None:
        return (feedback,)
    if held_out.record_type != feedback.record_type:
        raise UserError(
            f"it holds {held_out.record_type} records, the training data {feedback.record_type} "
            "records.",
            where=str(config.held_out_data),
            mend="Give held-out feedback of the same kind.",
        )
    return feedback, held_out


def _split(config: AlignConfig, read: tuple[Feedback, ...]) -> tuple[Feedback, Feedback | None]:
    from accordant.feedback.splitting import split_feedback

    if len(read) == 2:
        return read
    if config.held_out == 0:
        return read[0], None
    seed = config.seed if config.held_out_seed is None else config.held_out_seed
    return split_feedback(read[0], config.held_out, seed)


def choose_objective(config: AlignConfig, feedback: Feedback) -> Objective:
    """The objective that is named, or the usual one for this kind of feedback.

    Raises:
        UserError: there is none, or it cannot be trained on this feedback.
    """
    from accordant.objectives.feedback import check_feedback, check_sampling
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
    check_sampling(objective)
    check_feedback(objective, {feedback.record_type}, where=feedback.source)
    return objective


def prepare(config: AlignConfig) -> Prepared:
    """Check data, options and the output folder, and encode the data; loads no weights.

    Raises:
        UserError: anything the user can mend.
    """
    from accordant.models.facts import read_facts
    from accordant.objectives.feedback import check_labels
    from accordant.objectives.registry import bind_options
    from accordant.rewards.expression import find_reward
    from accordant.runs.relabel import relabel
    from accordant.tokens.rendering import encode
    from accordant.training.plan import make_plan
    from accordant.training.preparations.mechanism import (
        Parts,
        Workbench,
        check_preparations,
        plan_preparations,
    )

    read = _read(config)
    relabelled = relabel(config, *_split(config, read))
    train, held_out = relabelled.train, relabelled.held_out
    objective = choose_objective(config, train)
    options = bind_options(objective, config.options)
    feedback = (train,) if held_out is None else (train, held_out)
    bench = Workbench(objective, options, config, feedback)
    check_preparations(bench)
    judge = find_reward(config.judge_name, where="option --judge", noun="judge")
    if config.stop_on is not None and not config.watch:
        raise UserError(
            "nothing is found in a run that is not watched.",
            where="--stop-on",
            mend="Leave it out, or leave out --no-watch.",
        )
    _check_output(config)
    facts = read_facts(config)
    tokenizer = facts.tokenizer
    rendering = config.rendering()
    if rendering.chat_template is not None:
        # Saved with the model, so that who talks to it later uses the template it learnt.
        tokenizer.chat_template = rendering.chat_template

    max_tokens = config.max_length or facts.positions

    def encoded(feedback: Feedback) -> Encoded:
        return encode(
            feedback.records,
            tokenizer,
            rendering,
            max_tokens=max_tokens,
            truncation=config.truncation,
        )

    first = encoded(train)
    second = encoded(held_out) if held_out is not None else None
    if not first.examples:
        raise UserError(
            "no record is left to train on.",
            where=train.source,
            mend="Raise --max-length, or choose another --truncation.",
        )
    parts = Parts(first.examples, () if second is None else second.examples)
    check_labels(objective, parts.train)
    check_labels(objective, parts.held_out)
    bench = replace(
        bench,
        tokenizer=tokenizer,
        rendering=rendering,
        max_tokens=max_tokens,
        positions=facts.positions,
        stop_ids=first.end_of_turn_ids,
    )
    parts = plan_preparations(bench, parts)
    plan = make_plan(
        facts.config,
        config,
        parts.train,
        parts.held_out,
        processes=int(os.environ.get("WORLD_SIZE", "1")),
    )
    return Prepared(
        read=read,
        train=train,
        held_out=held_out,
        objective=objective,
        options=options,
        judge=judge,
        tokenizer=tokenizer,
        rendering=rendering,
        encoded=replace(first, examples=parts.train),
        encoded_held_out=second and replace(second, examples=parts.held_out),
        plan=plan,
        relabelled=relabelled,
        bench=bench,
    )


def _is_first_process() -> bool:
    """Whether this process speaks for the run; torchrun and accelerate set RANK."""
    return os.environ.get("RANK", "0") == "0"


def _check_output(config: AlignConfig) -> None:
    from accordant.models.saving import check_output_folder
    from accordant.training.checkpoints import list_checkpoints

    if not _is_first_process():
        # The first may already have begun to write there.
        return
    may_write = config.overwrite or config.resume
    if not may_write and list_checkpoints(config.output_dir):
        raise UserError(
            "the output folder holds checkpoints of an earlier run.",
            where=str(config.output_dir),
            mend="Go on from the last one with --resume, start over with --overwrite, or choose "
            "another folder.",
        )
    check_output_folder(config.output_dir, overwrite=may_write)


def plan_lines(config: AlignConfig, ready: Prepared) -> list[str]:
    """The plan in words, with everything that was left out or cut."""
    from accordant.tokens.lengths import describe_lengths

    lines = data_lines(ready)
    lines.append(
        f"{ready.objective.name} on {ready.train.record_type} records: {ready.train.source}"
    )
    lines += ready.plan.lines()
    if config.dry_run:
        lines += describe_lengths(ready.encoded.lengths, config.max_length)
    return lines


def data_lines(ready: Prepared) -> list[str]:
    """What was left out, cut or made of the feedback, in words."""
    lines = []
    for feedback in ready.read:
        lines += feedback.describe_skipped()
        if feedback.ignored:
            lines.append(f"{feedback.source}: columns not used: {', '.join(feedback.ignored)}")
    for encoded in (ready.encoded, ready.encoded_held_out):
        lines += encoded.describe_limits() if encoded is not None else []
    lines += ready.relabelled.notes
    lines += ready.encoded.notes
    return lines


def run_align(config: AlignConfig, *, dry_run: bool, console: Console) -> AlignOutcome:
    """Validate, train, save, measure and report.

    Args:
        config: settings of the run.
        dry_run: stop after the plan, before weights are loaded.
        console: where people read along; of several processes only the first prints.

    Raises:
        UserError: anything the user can mend.
    """
    console.quiet = console.quiet or not _is_first_process()
    ready = prepare(config)
    for line in plan_lines(config, ready):
        console.print(line, markup=False, highlight=False)
    plan = ready.plan
    planned = AlignOutcome(
        dry_run=dry_run,
        method=ready.objective.name,
        options=dict(ready.options),
        train=plan.examples,
        held_out=plan.held_out,
        tokens=plan.tokens,
        steps=plan.steps,
        memory_bytes=plan.memory.total,
    )
    if dry_run:
        return planned
    from accordant.runs.run import execute

    return execute(config, ready, planned, console)


def model_folder(config: AlignConfig) -> Path:
    """Where the trained model is written."""
    from accordant.models.sources import RUN_MODEL

    return config.output_dir / RUN_MODEL
