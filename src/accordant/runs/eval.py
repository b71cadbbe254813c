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
from accordant.reports.report import Cell, Facts, Figures, Report, Section, Table, columns
from accordant.reports.writing import write_report
from accordant.runs.report_parts import command_part, shown
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
    """Everything an evaluation measured; the JSON is this, field by field."""

    suite: str
    paper: str  # where the suite comes from
    model: str  # as the user named it
    numbers: Mapping[str, Interval]  # what the metrics counted
    items: tuple[AskedItem, ...]  # in the order of the suite
    options: Mapping[str, Any]  # of the suite
    settings: Mapping[str, Any]  # of the model and the sampling
    log: str  # place of inspect's log, which holds every message
    seconds: float
    command: str
    created: str  # ISO 8601 with the time zone


def plan_eval(name: str, config: EvalConfig) -> dict[str, Any]:
    """Check suite, options, model and folder, and say what would be asked; loads no weights.

    Raises:
        UserError: anything the user can mend.
    """
    suite, parts = _prepare(name, config)
    return {
        "suite": suite.name,
        "items": min(len(parts.items), config.limit or len(parts.items)),
        "asks": suite.summary,
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
    suite, parts = _prepare(name, config)
    if config.overwrite:
        shutil.rmtree(config.output_dir / "logs", ignore_errors=True)
    count = min(len(parts.items), config.limit or len(parts.items))
    console.print(f"{suite.name}: asking {config.model} {count} items", highlight=False)
    started = time.monotonic()
    log = _run_inspect(suite, config)
    report = eval_report(_read_log(suite, parts, config, log, time.monotonic() - started))
    page, _ = write_report(report, config.output_dir)
    return report, page


def eval_report(results: EvalResults) -> Report:
    """Build the report of an evaluation from what it measured."""
    figures = tuple(
        KeyFigure(
            name,
            percent(number.estimate, number.count),
            ends(number, "share"),
            f"of {number.count:,}" if number.count else "nothing to measure it on",
            bar=number if ends(number, "share") else None,
        )
        for name, number in results.numbers.items()
    )
    first = ", ".join(
        f"{name} {percent(number.estimate)}{in_brackets(number, 'share')}"
        for name, number in list(results.numbers.items())[:3]
    )
    rows = tuple(
        (
            *(Cell(item.id, mark="code"), item.prompt, item.answer),
            ", ".join(f"{name} {value:g}" for name, value in item.values.items() if value),
        )
        for item in results.items
    )
    table = Table("Answers with their scores", columns("item", "prompt", "answer", "scores"), rows)
    options = Facts("Options of the suite", _texts(results.options), code=True, empty="none given")
    settings = Facts("Settings", _texts(results.settings), code=True)
    return Report(
        title=f"{results.suite} of {results.model}",
        verdict=f"{first}.",
        sections=(
            Section("numbers", "Numbers", (Figures(figures),)),
            Section("answers", "Answers", shown(table)),
            Section("run", "Run", (command_part(results.command), options, settings)),
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


def _texts(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in values.items())


def _prepare(name: str, config: EvalConfig) -> tuple[Suite, SuiteParts]:
    suite = get_suite(name)
    if find_spec("inspect_ai") is None:
        raise UserError(
            "suites run on inspect-ai, which is not installed.",
            mend="`pip install 'accordant[eval]'`",
        )
    parts = suite.build(config.options)
    if (config.output_dir / f"{name}.json").exists() and not config.overwrite:
        raise UserError(
            "it holds an earlier evaluation by this suite.",
            where=str(config.output_dir),
            mend="Give another --output-dir, or --overwrite.",
        )
    # Opened for its errors alone: inspect loads the model through its own provider.
    open_session(config)
    return suite, parts


def _run_inspect(suite: Suite, config: EvalConfig) -> EvalLog:
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
        memoize=False,  # inspect would hand out the model of an earlier run, weights and all
        served=config.served,
        batch_size=config.batch_size,
        **config.model_dump(mode="json", include=fields),
    )
    _, logs = eval_set(
        make_task(suite, config.options),
        log_dir=str(config.output_dir / "logs"),
        # Suites of one folder lie side by side.
        log_dir_allow_dirty=True,
        model=model,
        limit=config.limit,
        display="none",
        # An error of ours is no outage: the second attempt would end like the first.
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


def _read_log(
    suite: Suite, parts: SuiteParts, config: EvalConfig, log: EvalLog, seconds: float
) -> EvalResults:
    from accordant.suites.inspection import read_scored

    scores = {str(s.id): s.scores[suite.name] for s in log.samples or [] if s.scores}
    scored = read_scored(parts, scores)
    return EvalResults(
        suite=suite.name,
        paper=suite.paper,
        model=config.model,
        numbers=suite.measure(scored),
        items=tuple(
            AskedItem(row.item.id, str(row.item.prompt), row.answer, row.values) for row in scored
        ),
        options=config.options,
        settings=config.model_dump(mode="json", exclude={"options", "model", "dry_run"}),
        log=log.location,
        seconds=seconds,
        command=" ".join(["accordant", *sys.argv[1:]]),
        created=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
    )
