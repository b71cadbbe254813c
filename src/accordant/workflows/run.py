"""The part of an align run that holds weights: reference, training, saving, measuring, report."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from accordant.data.examples import Example
from accordant.data.fingerprint import fingerprint_tokenizer
from accordant.data.rendering import Rendering
from accordant.evaluation.held_out import HeldOutLogps, evaluate_comparisons
from accordant.evaluation.report import one_line, print_summary, write_report
from accordant.evaluation.results import DataSummary, Environment, HeldOutResults, RunReport
from accordant.models.adapters import LoraOptions, attach_lora, trainable_summary
from accordant.models.loading import LoadedModel, load_model
from accordant.models.saving import save_model
from accordant.scoring.engine import install, score_all
from accordant.scoring.scores import Scores
from accordant.training.config import AlignConfig
from accordant.training.reference import OnlineReference, prepare_reference
from accordant.training.run import TrainResult, train
from accordant.training.trainer import Reference, Task
from accordant.workflows.align import AlignOutcome, Prepared, model_folder

if TYPE_CHECKING:
    from rich.console import Console


def _model(config: AlignConfig) -> tuple[LoadedModel, nn.Module]:
    """The loaded model and the one to train: with an adapter where one is asked for."""
    loaded = load_model(
        config.model,
        dtype="bfloat16" if config.precision == "bf16" else "float32",
        device="cpu" if config.device == "cpu" else None,
        revision=config.revision,
        trust_remote_code=config.trust_remote_code,
    )
    model: nn.Module = loaded.model
    if not config.is_full:
        targets = config.lora_targets
        lora = LoraOptions(
            rank=config.lora_rank,
            alpha=config.scale_of_adapter,
            dropout=config.lora_dropout,
            target_modules=targets[0] if targets == ("all-linear",) else targets,
        )
        model = attach_lora(model, lora, seed=config.seed)
    return loaded, install(model)


def _reference(config: AlignConfig, ready: Prepared, model: nn.Module) -> Reference | None:
    if not ready.objective.needs_reference:
        return None
    if config.reference == "online":
        return OnlineReference(model, config.precision)
    # The cache looks examples up by index, and the two parts number theirs separately: it holds
    # the training part, and held-out examples are numbered on behind it.
    return prepare_reference(
        model,
        [*ready.encoded.examples, *_held_out(ready)],
        folder=config.cache_dir or config.output_dir / "cache",
        tokenizer=fingerprint_tokenizer(ready.tokenizer),
        rendering=Rendering().fingerprint,
        precision=config.precision,
        token_budget=config.token_budget,
    )


def _held_out(ready: Prepared) -> tuple[Example, ...]:
    if ready.encoded_held_out is None:
        return ()
    behind = 1 + max(example.index for example in ready.encoded.examples)
    return tuple(
        replace(example, index=behind + example.index)
        for example in ready.encoded_held_out.examples
    )


def _logps(model: nn.Module, examples: Sequence[Example], budget: int) -> Scores | None:
    trees = [tree for example in examples for tree in example.trees]
    return score_all(model, trees, budget) if trees else None


def _measure(
    ready: Prepared, start: Scores | None, end: Scores | None, beta: float
) -> HeldOutResults | None:
    """Held-out results of comparisons; other kinds are reported through their curves."""
    if start is None or end is None or ready.train.record_type != "comparison":
        return None
    before, after, lengths = start.sum(), end.sum(), start.lengths
    chosen, rejected = (
        HeldOutLogps(policy=after[side::2], start=before[side::2], lengths=lengths[side::2])
        for side in (0, 1)
    )
    return evaluate_comparisons(chosen, rejected, beta)


def execute(
    config: AlignConfig, ready: Prepared, planned: AlignOutcome, console: Console
) -> AlignOutcome:
    """Train on what `prepare` made, save the model, measure it and write the report."""
    loaded, model = _model(config)
    console.print(f"Training {trainable_summary(model)}", markup=False, highlight=False)
    held_out = _held_out(ready)
    start = _logps(model, held_out, config.token_budget)
    task = Task(
        train=ready.encoded.examples,
        held_out=held_out,
        objective=ready.objective,
        options=ready.options,
        reference=_reference(config, ready, model),
    )
    result = train(model, task, config, console=console)
    end = _logps(result.model, held_out, config.token_budget)
    folder = model_folder(config)
    save_model(
        result.model,
        ready.tokenizer,
        folder,
        card=_card(config, ready),
        stop_ids=ready.encoded.end_of_turn_ids,
        overwrite=config.overwrite or config.resume,
        source=loaded.source,
    )
    outcome = replace(planned, steps=result.steps, model=str(folder))
    if not config.report:
        return outcome
    beta = float(ready.options.get("beta", 1.0))
    report = _report(config, ready, result, _measure(ready, start, end, beta))
    html, _ = write_report(report, config.output_dir)
    print_summary(report, console)
    console.print(f"Model: {folder}\nReport: {html}", markup=False, highlight=False)
    return replace(outcome, report=str(html), summary=one_line(report))


def _card(config: AlignConfig, ready: Prepared) -> str:
    return (
        f"# {config.output_dir.name}\n\n{config.model} trained with `{ready.objective.name}` "
        f"on {len(ready.encoded.examples)} {ready.train.record_type} records by accordant "
        f"{version('accordant')}.\n"
    )


def _report(
    config: AlignConfig, ready: Prepared, result: TrainResult, held_out: HeldOutResults | None
) -> RunReport:
    skipped = len(ready.train.skipped)
    configuration: dict[str, Any] = config.model_dump(mode="json")
    return RunReport(
        title=f"{ready.objective.name} of {config.model}",
        method=ready.objective.name,
        model=config.model,
        configuration=configuration,
        data=DataSummary(
            record_type=ready.train.record_type,
            sources=(ready.train.source,),
            read=ready.train.rows or len(ready.train.records) + skipped,
            train=len(ready.encoded.examples),
            held_out=len(_held_out(ready)),
        ),
        environment=Environment(
            versions={name: version(name) for name in ("accordant", "torch", "transformers")},
            hardware=torch.cuda.get_device_name()
            if torch.cuda.is_available()
            else f"{platform.machine()} processor, {torch.get_num_threads()} threads",
            precision=config.precision,
            seconds=result.seconds,
            tokens_per_second=result.tokens_per_second,
            peak_memory_bytes=result.peak_memory_bytes,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=" ".join(sys.argv),
        ),
        curves=result.history,
        held_out=held_out,
    )
