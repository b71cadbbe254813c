"""The story of `accordant align --sweep`: a grid of runs on one data set, compared in one report.

Composes the grid, ordinary align runs as processes, and the report of a sweep; adds no mechanism.
Grid, data, options and folders are checked for every run before the first one starts.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.base.locks import lock
from accordant.models.saving import check_output_folder
from accordant.runs.align.prepare import data_lines
from accordant.runs.settings import AlignConfig
from accordant.runs.sweep.grid import RUNS, Trial, make_trials, read_axes
from accordant.runs.sweep.machine import Places, find_places, look
from accordant.runs.sweep.numbers import NOTHING
from accordant.runs.sweep.results import (
    SweepResults,
    TrialResult,
    cells_json,
    rank_trials,
    ranking_measure,
    summarise_objectives,
)
from accordant.runs.sweep.trials import (
    PreparedTrial,
    check_trial,
    prepare_trials,
    read_trial,
    tidy,
    write_trial,
)
from accordant.training.plan import show_size

if TYPE_CHECKING:
    from rich.console import Console

    from accordant.training.plan import Plan

LOCK_NAME = ".lock"
_KEPT = {
    "all": "the models of all runs",
    "best": "the model of the best run",
    "none": "no model",
}


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
        return cells_json(self)


@dataclass(frozen=True, slots=True)
class _Sweep:
    """All that is known before the first run starts."""

    config: AlignConfig
    trials: tuple[PreparedTrial, ...]
    places: Places
    console: Console

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False)


def run_sweep(config: AlignConfig, *, console: Console) -> SweepOutcome:
    """Check all runs of the grid, run them side by side, and compare them.

    Args:
        config: settings that all runs share, with `sweep` naming the axes; a dry run stops after
            the plan, before any run starts.
        console: where people read along.

    Raises:
        UserError: anything the user can mend before a run starts. A run that fails later is
            reported with its message, and the others go on.
    """
    _check_settings(config)
    trials = prepare_trials(make_trials(config, read_axes(config.sweep)))
    largest = max(trial.ready.plan.memory.total for trial in trials)
    places = find_places(look(config.device), len(trials), largest, config.parallel)
    sweep = _Sweep(config, trials, places, console)
    planned = _plan(sweep)
    _print_plan(sweep, planned)
    if config.dry_run:
        return planned
    with _locked(config):
        return _run_and_report(sweep, planned)


@contextmanager
def _locked(config: AlignConfig) -> Iterator[None]:
    config.output_dir.mkdir(parents=True, exist_ok=True)
    with lock(config.output_dir / LOCK_NAME, wait=False) as held:
        if not held:
            raise UserError(
                "another sweep is at work in this folder.",
                where=str(config.output_dir),
                mend="Wait for it to end, or choose another folder.",
            )
        yield


def _run_and_report(sweep: _Sweep, planned: SweepOutcome) -> SweepOutcome:
    from accordant.reports.terminal import print_report
    from accordant.reports.writing import to_plain, write_report
    from accordant.runs.sweep.report import sweep_report

    config, trials = sweep.config, sweep.trials
    if config.overwrite and not config.resume:
        shutil.rmtree(config.output_dir / RUNS, ignore_errors=True)
    # All are checked before the first is written, so that a wrong grid changes nothing.
    for trial in trials:
        check_trial(trial)
    waiting = [trial for trial in trials if not trial.has_ended]
    for trial in waiting:
        write_trial(trial)
    if len(waiting) < len(trials):
        sweep.console.print(f"{len(trials) - len(waiting)} of {len(trials)} runs have ended before")
    results = _collect_results(sweep, _run(sweep, [trial.trial for trial in waiting]))
    report = sweep_report(results)
    page, _ = write_report(report, config.output_dir)
    print_report(report, sweep.console)
    sweep.say(f"Report: {page}")
    return replace(
        planned,
        dry_run=False,
        failed=sum(trial.state == "failed" for trial in results.trials),
        report=str(page),
        summary=report.verdict,
        results=to_plain(results),
    )


def _run(sweep: _Sweep, waiting: list[Trial]) -> list[TrialResult]:
    """Run what has not ended yet, and return what all runs left, in the order of the grid."""
    from accordant.runs.sweep.progress import SweepProgress
    from accordant.runs.sweep.trial_processes import run_side_by_side

    by_name = {trial.trial.name: trial for trial in sweep.trials}
    left = {name: read_trial(trial) for name, trial in by_name.items() if trial.has_ended}
    progress = SweepProgress(sweep.console, total=len(waiting), parallel=sweep.places.count)

    def ended(trial: Trial, why: str) -> None:
        left[trial.name] = read_trial(by_name[trial.name], why)
        tidy(sweep.config, sweep.trials, left.values())
        progress.ended(trial, left[trial.name])

    tidy(sweep.config, sweep.trials, left.values())
    try:
        run_side_by_side(waiting, sweep.places, watch=progress.watch, ended=ended)
    finally:
        progress.close()
    # Again, as models of runs that were best for a while are gone by now.
    return [read_trial(trial, left[name].message) for name, trial in by_name.items()]


def _collect_results(sweep: _Sweep, results: list[TrialResult]) -> SweepResults:
    config = sweep.config
    measure = ranking_measure(config.rank_by, results)
    # Judge and prompts are those of every run, so the first that ended speaks for all.
    shared = next((each for each in results if each.state == "finished"), results[0])
    first, varied = sweep.trials[0].ready, {name for each in results for name in each.varied}
    chosen = config.model_dump(mode="json", exclude_unset=True)
    return SweepResults(
        title=f"Sweep of {len(results)} runs over {', '.join(sorted(varied)) or 'one setting'}",
        model=config.model,
        data=str(config.data),
        record_type=first.train.record_type,
        train=first.plan.examples,
        held_out=first.plan.held_out,
        ranked_by=measure.name,
        trials=rank_trials(results, measure),
        objectives=summarise_objectives(results, measure),
        judge=shared.judge,
        groups=shared.groups,
        start_length=shared.start_length or NOTHING,
        settings={name: value for name, value in chosen.items() if name not in varied},
        command=" ".join(sys.argv),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _check_settings(config: AlignConfig) -> None:
    """Refuse what a sweep cannot do, and folders that hold something else."""
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
    may_write, runs = config.overwrite or config.resume, config.output_dir / RUNS
    if not may_write and runs.is_dir() and any(runs.iterdir()):
        raise UserError(
            "the output folder holds runs of an earlier sweep.",
            where=str(config.output_dir),
            mend="Go on with them with --resume, start over with --overwrite, or choose another "
            "folder.",
        )
    check_output_folder(config.output_dir, overwrite=may_write)


def _plan(sweep: _Sweep) -> SweepOutcome:
    """Say what the sweep will take."""
    plans = [trial.ready.plan for trial in sweep.trials]
    count = sweep.places.count
    kept = {"all": len(plans), "best": 1, "none": 0}[sweep.config.keep_models]
    return SweepOutcome(
        dry_run=True,
        runs=len(plans),
        parallel=count,
        steps=sum(plan.steps for plan in plans),
        memory_bytes=count * max(plan.memory.total for plan in plans),
        disk_bytes=count * max(plan.disk for plan in plans) + kept * max(map(_model_bytes, plans)),
        trials=tuple(
            {
                "name": trial.trial.name,
                "method": trial.ready.objective.name,
                "options": dict(trial.ready.options),
                "varied": dict(trial.trial.varied),
                "tokens": plan.tokens,
                "steps": plan.steps,
                "memory_bytes": plan.memory.total,
            }
            for trial, plan in zip(sweep.trials, plans, strict=True)
        ),
    )


def _model_bytes(plan: Plan) -> int:
    """Return what the saved model of a run takes: all weights, or a float32 adapter."""
    return plan.memory.weights if plan.trained == plan.parameters else 4 * plan.trained


def _print_plan(sweep: _Sweep, planned: SweepOutcome) -> None:
    """Print the runs in a table, and what they take together."""
    from rich.markup import escape
    from rich.table import Table

    for line in data_lines(sweep.trials[0].ready):
        sweep.say(line)
    table = Table(header_style="bold")
    table.add_column("run", overflow="fold")
    for name in ("examples", "held out", "tokens a pass", "steps", "memory"):
        table.add_column(name, justify="right")
    for trial in sweep.trials:
        plan = trial.ready.plan
        numbers = (plan.examples, plan.held_out, plan.tokens, plan.steps)
        memory = show_size(plan.memory.total)
        table.add_row(escape(trial.label), *(f"{n:,}" for n in numbers), memory)
    sweep.console.print(table)
    sweep.say(
        f"{planned.runs} runs of {planned.steps:,} steps together, {planned.parallel} at a time "
        f"({sweep.places.reason}): memory about {show_size(planned.memory_bytes)}, disk up to "
        f"{show_size(planned.disk_bytes)}, of which {_KEPT[sweep.config.keep_models]} is kept"
    )
