"""The story of `accordant align --sweep`: a grid of runs on one data set, compared in one report.

Composes the grid, ordinary align runs as processes, and the report of a sweep; adds no mechanism.
Grid, data, options and folders are checked for every run before the first one starts.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.base.locks import lock
from accordant.runs.align.prepare import data_lines
from accordant.runs.settings import AlignConfig
from accordant.runs.sweep.grid import RUNS, Cell, make_cells, read_axes
from accordant.runs.sweep.machine import Places, find_places, look
from accordant.runs.sweep.trials import (
    PreparedCell,
    ReadCell,
    check_cell,
    prepare_cells,
    read_cell,
    tidy,
    write_cell,
)
from accordant.training.plan import show_size

if TYPE_CHECKING:
    from rich.console import Console

    from accordant.reports.sweep import SweepResults
    from accordant.training.plan import Plan

LOCK_NAME = ".lock"


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """What a sweep, or its dry run, tells at its end (JSON values only)."""

    dry_run: bool
    runs: int
    parallel: int
    steps: int
    memory_bytes: int
    disk_bytes: int
    cells: tuple[Mapping[str, Any], ...]
    failed: int = 0
    report: str | None = None
    summary: str = ""
    results: Mapping[str, Any] = field(default_factory=dict)


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
    cells = prepare_cells(make_cells(config, read_axes(config.sweep)))
    places = _places(config, cells)
    planned = _planned(config, cells, places)
    _print_plan(config, cells, planned, places, console)
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
        return _run_and_report(config, cells, planned, places, console)


def _run_and_report(
    config: AlignConfig,
    cells: Sequence[PreparedCell],
    planned: SweepOutcome,
    places: Places,
    console: Console,
) -> SweepOutcome:
    from accordant.reports.pages import to_plain
    from accordant.reports.sweep import verdict
    from accordant.reports.sweep_report import print_sweep, write_sweep

    if config.overwrite and not config.resume:
        shutil.rmtree(config.output_dir / RUNS, ignore_errors=True)
    # All are checked before the first is written, so that a wrong grid changes nothing.
    for cell in cells:
        check_cell(cell)
    waiting = [cell for cell in cells if not cell.has_ended]
    for cell in waiting:
        write_cell(cell)
    if len(waiting) < len(cells):
        console.print(f"{len(cells) - len(waiting)} of {len(cells)} runs have ended before")
    results = _results(config, cells, _run(config, cells, waiting, places, console))
    page = write_sweep(results, config.output_dir)
    print_sweep(results, console)
    console.print(f"Report: {page}", markup=False, highlight=False)
    return replace(
        planned,
        dry_run=False,
        failed=sum(cell.state == "failed" for cell in results.cells),
        report=str(page),
        summary=verdict(results),
        results=to_plain(results),
    )


def _run(
    config: AlignConfig,
    cells: Sequence[PreparedCell],
    waiting: Sequence[PreparedCell],
    places: Places,
    console: Console,
) -> list[ReadCell]:
    """Run what has not ended yet; what all runs left, in the order of the grid."""
    from accordant.runs.sweep.progress import SweepProgress
    from accordant.runs.sweep.trial_processes import run_side_by_side

    by_name = {cell.cell.name: cell for cell in cells}
    read = {name: read_cell(cell) for name, cell in by_name.items() if cell.has_ended}
    progress = SweepProgress(console, total=len(waiting), parallel=places.count)

    def ended(cell: Cell, why: str) -> None:
        read[cell.name] = read_cell(by_name[cell.name], why)
        tidy(config, cells, read.values())
        progress.ended(cell, read[cell.name].result)

    tidy(config, cells, read.values())
    try:
        run_side_by_side([cell.cell for cell in waiting], places, watch=progress.watch, ended=ended)
    finally:
        progress.close()
    return [read[name] for name in by_name]


def _results(
    config: AlignConfig, cells: Sequence[PreparedCell], read: Sequence[ReadCell]
) -> SweepResults:
    from accordant.reports.sweep import (
        SweepResults,
        answer_length,
        rank_cells,
        ranking_measure,
        summarise_objectives,
    )

    # Again, as models of runs that were best for a while are gone by now.
    found = [
        read_cell(cell, one.result.message).result for cell, one in zip(cells, read, strict=True)
    ]
    measure = ranking_measure(config.rank_by, found)
    reports = [one.report for one in read if one.report is not None]
    rates = reports[0]["win_rates"] if reports else ()
    first, varied = cells[0].ready, {name for one in found for name in one.varied}
    length = answer_length(reports[0], "before") if reports else None
    return SweepResults(
        title=f"Sweep of {len(cells)} runs over {', '.join(sorted(varied)) or 'one setting'}",
        model=config.model,
        data=str(config.data),
        record_type=first.train.record_type,
        train=first.plan.examples,
        held_out=first.plan.held_out,
        ranked_by=measure.name,
        cells=rank_cells(found, measure),
        objectives=summarise_objectives(found, measure),
        judge=rates[0]["judge"] if rates else "",
        settings=_shared_settings(config, varied),
        command=" ".join(sys.argv),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **({} if length is None else {"start_length": length}),
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


def _places(config: AlignConfig, cells: Sequence[PreparedCell]) -> Places:
    largest = max(cell.ready.plan.memory.total for cell in cells)
    return find_places(look(config.device), len(cells), largest, config.parallel)


def _planned(config: AlignConfig, cells: Sequence[PreparedCell], places: Places) -> SweepOutcome:
    plans = [cell.ready.plan for cell in cells]
    kept = {"all": len(cells), "best": 1, "none": 0}[config.keep_models]
    return SweepOutcome(
        dry_run=True,
        runs=len(cells),
        parallel=places.count,
        steps=sum(plan.steps for plan in plans),
        memory_bytes=places.count * max(plan.memory.total for plan in plans),
        disk_bytes=places.count * max(plan.disk for plan in plans)
        + kept * max(_model_bytes(plan) for plan in plans),
        cells=tuple(
            {
                "name": cell.cell.name,
                "method": cell.ready.objective.name,
                "options": dict(cell.ready.options),
                "varied": dict(cell.cell.varied),
                "tokens": cell.ready.plan.tokens,
                "steps": cell.ready.plan.steps,
                "memory_bytes": cell.ready.plan.memory.total,
            }
            for cell in cells
        ),
    )


def _model_bytes(plan: Plan) -> int:
    """What the saved model of a run takes: all weights, or a float32 adapter."""
    full = plan.trained == plan.parameters
    return plan.memory.weights if full else 4 * plan.trained


def _print_plan(
    config: AlignConfig,
    cells: Sequence[PreparedCell],
    planned: SweepOutcome,
    places: Places,
    console: Console,
) -> None:
    """The runs in a table, and what they take together."""
    from rich.markup import escape
    from rich.table import Table

    for line in data_lines(cells[0].ready):
        console.print(line, markup=False, highlight=False)
    table = Table(header_style="bold")
    table.add_column("run", overflow="fold")
    for name in ("examples", "held out", "tokens a pass", "steps", "memory"):
        table.add_column(name, justify="right")
    for cell in cells:
        plan = cell.ready.plan
        numbers = (plan.examples, plan.held_out, plan.tokens, plan.steps)
        label = escape(cell.cell.label or cell.ready.objective.name)
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
