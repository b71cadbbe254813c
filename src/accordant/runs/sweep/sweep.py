"""The story of `accordant align --sweep`: a grid of runs on one data set, compared in one report.

Composes the grid, ordinary align runs as processes, and the report of a sweep; adds no mechanism.
Grid, data, options and folders are checked for every run before the first one starts.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.base.locks import lock
from accordant.runs.align.prepare import data_lines
from accordant.runs.settings import AlignConfig
from accordant.runs.sweep.grid import RUNS, Trial, make_trials, read_axes
from accordant.runs.sweep.machine import Places, find_places, look
from accordant.runs.sweep.trials import (
    PreparedTrial,
    ReadTrial,
    check_trial,
    prepare_trials,
    read_trial,
    tidy,
    write_trial,
)
from accordant.training.plan import show_size

if TYPE_CHECKING:
    from rich.console import Console

    from accordant.runs.sweep.results import SweepResults
    from accordant.training.plan import Plan

LOCK_NAME = ".lock"


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """What a sweep, or its dry run, tells at its end."""

    dry_run: bool
    runs: int
    parallel: int
    steps: int
    memory_bytes: int
    disk_bytes: int
    trials: tuple[Mapping[str, Any], ...]
    failed: int = 0
    report: str | None = None
    summary: str = ""
    results: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields; the runs stand in `cells`."""
        names = {each.name: each.name for each in fields(self)} | {"trials": "cells"}
        return {written: getattr(self, name) for name, written in names.items()}


def run_sweep(config: AlignConfig, *, dry_run: bool, console: Console) -> SweepOutcome:
    """Check all runs of the grid, run them side by side, and compare them.

    Args:
        config: settings that all runs share, with `sweep` naming the axes.
        dry_run: stop after the plan, before any run starts.
        console: where people read along.

    Raises:
        UserError: anything the user can mend before a run starts. A run that fails later is
            reported with its message, and the others go on.
    """
    _check_settings(config)
    trials = prepare_trials(make_trials(config, read_axes(config.sweep)))
    places = _places(config, trials)
    planned = _planned(config, trials, places)
    _print_plan(config, trials, planned, places, console)
    if dry_run:
        return planned
    config.output_dir.mkdir(parents=True, exist_ok=True)
    with lock(config.output_dir / LOCK_NAME, wait=False) as held:
        if not held:
            raise UserError(
                "another sweep is at work in this folder.",
                where=str(config.output_dir),
                mend="Wait for it to end, or choose another folder.",
            )
        return _run_and_report(config, trials, planned, places, console)


def _run_and_report(
    config: AlignConfig,
    trials: Sequence[PreparedTrial],
    planned: SweepOutcome,
    places: Places,
    console: Console,
) -> SweepOutcome:
    from accordant.reports.terminal import print_report
    from accordant.reports.writing import to_plain, write_report
    from accordant.runs.sweep.report import sweep_report

    if config.overwrite and not config.resume:
        shutil.rmtree(config.output_dir / RUNS, ignore_errors=True)
    # All are checked before the first is written, so that a wrong grid changes nothing.
    for trial in trials:
        check_trial(trial)
    waiting = [trial for trial in trials if not trial.has_ended]
    for trial in waiting:
        write_trial(trial)
    if len(waiting) < len(trials):
        console.print(f"{len(trials) - len(waiting)} of {len(trials)} runs have ended before")
    results = _results(config, trials, _run(config, trials, waiting, places, console))
    report = sweep_report(results)
    page, _ = write_report(report, config.output_dir)
    print_report(report, console)
    console.print(f"Report: {page}", markup=False, highlight=False)
    return replace(
        planned,
        dry_run=False,
        failed=sum(trial.state == "failed" for trial in results.trials),
        report=str(page),
        summary=report.verdict,
        results=to_plain(results),
    )


def _run(
    config: AlignConfig,
    trials: Sequence[PreparedTrial],
    waiting: Sequence[PreparedTrial],
    places: Places,
    console: Console,
) -> list[ReadTrial]:
    """Run what has not ended yet; what all runs left, in the order of the grid."""
    from accordant.runs.sweep.progress import SweepProgress
    from accordant.runs.sweep.trial_processes import run_side_by_side

    by_name = {trial.trial.name: trial for trial in trials}
    read = {name: read_trial(trial) for name, trial in by_name.items() if trial.has_ended}
    progress = SweepProgress(console, total=len(waiting), parallel=places.count)

    def ended(trial: Trial, why: str) -> None:
        read[trial.name] = read_trial(by_name[trial.name], why)
        tidy(config, trials, read.values())
        progress.ended(trial, read[trial.name].result)

    tidy(config, trials, read.values())
    try:
        run_side_by_side(
            [trial.trial for trial in waiting], places, watch=progress.watch, ended=ended
        )
    finally:
        progress.close()
    return [read[name] for name in by_name]


def _results(
    config: AlignConfig, trials: Sequence[PreparedTrial], read: Sequence[ReadTrial]
) -> SweepResults:
    from accordant.runs.sweep.numbers import NOTHING
    from accordant.runs.sweep.results import (
        SweepResults,
        rank_trials,
        ranking_measure,
        summarise_objectives,
    )

    # Again, as models of runs that were best for a while are gone by now.
    results = [
        read_trial(trial, each.result.message).result
        for trial, each in zip(trials, read, strict=True)
    ]
    measure = ranking_measure(config.rank_by, results)
    numbers = next((each.numbers for each in read if each.numbers is not None), None)
    first, varied = trials[0].ready, {name for result in results for name in result.varied}
    return SweepResults(
        title=f"Sweep of {len(trials)} runs over {', '.join(sorted(varied)) or 'one setting'}",
        model=config.model,
        data=str(config.data),
        record_type=first.train.record_type,
        train=first.plan.examples,
        held_out=first.plan.held_out,
        ranked_by=measure.name,
        trials=rank_trials(results, measure),
        objectives=summarise_objectives(results, measure),
        judge=numbers.judge if numbers else "",
        groups=numbers.groups if numbers else {},
        start_length=numbers.start_length if numbers and numbers.start_length else NOTHING,
        settings=_shared_settings(config, varied),
        command=" ".join(sys.argv),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _shared_settings(config: AlignConfig, varied: set[str]) -> dict[str, Any]:
    """The settings that someone chose and that no axis varies."""
    return {
        name: value
        for name, value in config.model_dump(mode="json", exclude_unset=True).items()
        if name not in varied
    }


def _check_settings(config: AlignConfig) -> None:
    """Refuse what a sweep cannot do, and folders that hold something else."""
    from accordant.models.saving import check_output_folder

    if int(os.environ.get("WORLD_SIZE", "1")) > 1 or config.sharding != "none":
        raise UserError(
            "a sweep starts processes of its own, one for each run.",
            where="--sweep",
            mend="Start it without torchrun or accelerate, and with --sharding none.",
        )
    if not config.report:
        raise UserError(
            "a sweep compares the reports of its runs.",
            where="--no-report",
            mend="Leave it out; --sample-prompts 0 spares the answers.",
        )
    held = config.output_dir / RUNS
    if held.is_dir() and any(held.iterdir()) and not (config.overwrite or config.resume):
        raise UserError(
            "the output folder holds runs of an earlier sweep.",
            where=str(config.output_dir),
            mend="Go on with them with --resume, start over with --overwrite, or choose another "
            "folder.",
        )
    check_output_folder(config.output_dir, overwrite=config.overwrite or config.resume)


def _places(config: AlignConfig, trials: Sequence[PreparedTrial]) -> Places:
    largest = max(trial.ready.plan.memory.total for trial in trials)
    return find_places(look(config.device), len(trials), largest, config.parallel)


def _planned(config: AlignConfig, trials: Sequence[PreparedTrial], places: Places) -> SweepOutcome:
    plans = [trial.ready.plan for trial in trials]
    kept = {"all": len(trials), "best": 1, "none": 0}[config.keep_models]
    return SweepOutcome(
        dry_run=True,
        runs=len(trials),
        parallel=places.count,
        steps=sum(plan.steps for plan in plans),
        memory_bytes=places.count * max(plan.memory.total for plan in plans),
        disk_bytes=places.count * max(plan.disk for plan in plans)
        + kept * max(_model_bytes(plan) for plan in plans),
        trials=tuple(
            {
                "name": trial.trial.name,
                "method": trial.ready.objective.name,
                "options": dict(trial.ready.options),
                "varied": dict(trial.trial.varied),
                "tokens": trial.ready.plan.tokens,
                "steps": trial.ready.plan.steps,
                "memory_bytes": trial.ready.plan.memory.total,
            }
            for trial in trials
        ),
    )


def _model_bytes(plan: Plan) -> int:
    """What the saved model of a run takes: all weights, or a float32 adapter."""
    full = plan.trained == plan.parameters
    return plan.memory.weights if full else 4 * plan.trained


def _print_plan(
    config: AlignConfig,
    trials: Sequence[PreparedTrial],
    planned: SweepOutcome,
    places: Places,
    console: Console,
) -> None:
    """The runs in a table, and what they take together."""
    from rich.markup import escape
    from rich.table import Table

    for line in data_lines(trials[0].ready):
        console.print(line, markup=False, highlight=False)
    table = Table(header_style="bold")
    table.add_column("run", overflow="fold")
    for name in ("examples", "held out", "tokens a pass", "steps", "memory"):
        table.add_column(name, justify="right")
    for trial in trials:
        plan = trial.ready.plan
        numbers = (plan.examples, plan.held_out, plan.tokens, plan.steps)
        label = escape(trial.trial.label or trial.ready.objective.name)
        table.add_row(label, *(f"{n:,}" for n in numbers), show_size(plan.memory.total))
    console.print(table)
    kept = {
        "all": "the models of all runs",
        "best": "the model of the best run",
        "none": "no model",
    }[config.keep_models]
    console.print(
        f"{planned.runs} runs of {planned.steps:,} steps together, {places.count} at a time "
        f"({places.reason}): memory about {show_size(planned.memory_bytes)}, disk up to "
        f"{show_size(planned.disk_bytes)}, of which {kept} is kept",
        markup=False,
        highlight=False,
    )
