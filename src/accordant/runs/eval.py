"""The story of `accordant eval`: from a suite and a model to numbers, a page and inspect's logs.

Composes the rooms below. Knows no suite; inspect-ai is imported when a suite is run.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.models.settings import ModelSettings
from accordant.reports.report import Cell, Facts, Figures, Prose, Report, Section, Table, columns
from accordant.reports.writing import write_report
from accordant.runs.session import open_session
from accordant.runs.settings import EvalConfig
from accordant.statistics.interval import Interval
from accordant.statistics.measures import KeyFigure
from accordant.statistics.wording import ends, in_brackets, percent
from accordant.suites.registry import Suite, SuiteParts, get_suite
from accordant.tokens.settings import TemplateSettings

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog
    from rich.console import Console

EVAL_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class AskedItem:
    """One item of a suite with what the model answered and how that was scored."""

    id: str
    prompt: str
    answer: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EvalResults:
    """Everything an evaluation measured; the JSON is this, field by field.

    Args:
        suite: its name.
        paper: where the suite comes from.
        model: as the user named it.
        numbers: what the metrics counted, by name.
        items: what was asked, in order.
        options: of the suite.
        settings: of the model and the sampling.
        log: inspect's log of every message.
        seconds: wall time.
        command: the command line.
        created: ISO 8601 with the time zone.
    """

    suite: str
    paper: str
    model: str
    numbers: Mapping[str, Interval]
    items: tuple[AskedItem, ...]
    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    log: str
    seconds: float
    command: str
    created: str


def plan_eval(name: str, config: EvalConfig) -> dict[str, Any]:
    """Check suite, options, model and folder, and say what would be asked; loads no weights.

    Raises:
        UserError: anything the user can mend.
    """
    entry, parts = _prepare(name, config)
    return {
        "suite": entry.name,
        "items": min(len(parts.items), config.limit or len(parts.items)),
        "asks": entry.summary,
        "model": config.model,
        "server": config.server,
        "output_dir": str(config.output_dir),
    }


def run_eval(name: str, config: EvalConfig, console: Console) -> tuple[Report, Path]:
    """Run a suite on a model and write its report.

    An evaluation that was interrupted goes on where it stood.

    Returns:
        the report and its page.

    Raises:
        UserError: anything the user can mend.
    """
    entry, parts = _prepare(name, config)
    if config.overwrite:
        shutil.rmtree(config.output_dir / "logs", ignore_errors=True)
    count = min(len(parts.items), config.limit or len(parts.items))
    console.print(f"{entry.name}: asking {config.model} {count} items", highlight=False)
    started = time.monotonic()
    log = _run_inspect(entry, config)
    results = _read_results(entry, parts, config, log, time.monotonic() - started)
    report = eval_report(results)
    page, _ = write_report(report, config.output_dir)
    return report, page


def eval_report(results: EvalResults) -> Report:
    """Build the report of an evaluation from what it measured."""
    numbers = results.numbers.items()
    figures = tuple(
        KeyFigure(
            name,
            percent(number.estimate, number.count),
            ends(number, "share"),
            f"of {number.count:,}" if number.count else "nothing to measure it on",
            bar=number if ends(number, "share") else None,
        )
        for name, number in numbers
    )
    first = ", ".join(
        f"{name} {percent(number.estimate)}{in_brackets(number, 'share')}"
        for name, number in list(numbers)[:3]
    )
    rows = tuple(
        (Cell(item.id, mark="code"), item.prompt, item.answer, _shown(item.values))
        for item in results.items
    )
    table = Table("Answers with their scores", columns("item", "prompt", "answer", "scores"), rows)
    settings = tuple((key, str(value)) for key, value in results.settings.items())
    options = tuple((key, str(value)) for key, value in results.options.items())
    run = (
        Prose("Command", (results.command,), code=True),
        Facts("Options of the suite", options, code=True, empty="none given"),
        Facts("Settings", settings, code=True),
    )
    return Report(
        title=f"{results.suite} of {results.model}",
        verdict=f"{first}.",
        sections=(
            Section("numbers", "Numbers", (Figures(figures),)),
            Section("answers", "Answers", (table,) if rows else ()),
            Section("run", "Run", run),
        ),
        name=results.suite,
        kind="evaluation",
        facts=(
            ("model", results.model),
            ("suite", f"{results.suite} ({results.paper})"),
            ("items", f"{len(results.items):,}"),
            ("log", results.log),
            ("made", results.created),
        ),
        record=results,
        schema=EVAL_SCHEMA_VERSION,
    )


def _prepare(name: str, config: EvalConfig) -> tuple[Suite, SuiteParts]:
    entry = get_suite(name)
    if find_spec("inspect_ai") is None:
        raise UserError(
            "suites run on inspect-ai, which is not installed.",
            mend="`pip install 'accordant[eval]'`",
        )
    parts = entry.build(config.options)
    if (config.output_dir / f"{name}.json").exists() and not config.overwrite:
        raise UserError(
            "it holds an earlier evaluation by this suite.",
            where=str(config.output_dir),
            mend="Give another --output-dir, or --overwrite.",
        )
    open_session(config)
    return entry, parts


def _run_inspect(entry: Suite, config: EvalConfig) -> EvalLog:
    """Run a suite's task to its end; what was answered before is kept."""
    from inspect_ai import eval_set
    from inspect_ai.log import read_eval_log
    from inspect_ai.model import GenerateConfig, get_model

    from accordant.suites.inspection import make_task

    fields = {*ModelSettings.model_fields, *TemplateSettings.model_fields} - {"model"}
    model = get_model(
        f"accordant/{config.model}",
        config=GenerateConfig(
            max_tokens=config.max_new_tokens, temperature=config.temperature, seed=config.seed
        ),
        base_url=config.server,
        memoize=False,
        served=config.served,
        batch_size=config.batch_size,
        **config.model_dump(mode="json", include=fields),
    )
    _, logs = eval_set(
        make_task(entry, config.options),
        log_dir=str(config.output_dir / "logs"),
        # Suites of one folder lie side by side.
        log_dir_allow_dirty=True,
        model=model,
        limit=config.limit,
        display="none",
        retry_attempts=0,
        retry_immediate=False,
    )
    log = read_eval_log(logs[0].location)
    if log.status != "success":
        raise UserError(
            f"the evaluation ended early: {log.error.message if log.error else log.status}",
            where=log.location,
            mend="The same command goes on from there.",
        )
    return log


def _read_results(
    entry: Suite, parts: SuiteParts, config: EvalConfig, log: EvalLog, seconds: float
) -> EvalResults:
    from accordant.suites.inspection import read_scored

    scores = {str(s.id): s.scores[entry.name] for s in log.samples or [] if s.scores}
    scored = read_scored(parts, scores)
    items = tuple(
        AskedItem(row.item.id, str(row.item.prompt), row.answer, row.values) for row in scored
    )
    return EvalResults(
        suite=entry.name,
        paper=entry.paper,
        model=config.model,
        numbers=entry.measure(scored),
        items=items,
        options=config.options,
        settings=config.model_dump(mode="json", exclude={"options", "model", "dry_run"}),
        log=log.location,
        seconds=seconds,
        command=" ".join(["accordant", *sys.argv[1:]]),
        created=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
    )


def _shown(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items() if value)
