"""The story of `accordant check`: from feedback and a model to findings and a page of them.

Composes the rooms below. Data, options and files are checked before any weight is loaded.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.checks.findings import Finding
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.feedback.bundled import bundled_path
from accordant.feedback.reading import describe_reading
from accordant.feedback.writing import check_target, write_without
from accordant.reports.writing import write_report
from accordant.runs.check_inputs import NO_MODEL, PreparedCheck, prepare_check
from accordant.runs.check_report import CheckResults, NotRun, build_check_report, in_order
from accordant.runs.settings import CheckConfig

if TYPE_CHECKING:
    from rich.console import Console

    from accordant.feedback.loading import Feedback

FIRST_TOKENS = 256  # trees of about so many tokens are scored to measure the speed


def plan_check(config: CheckConfig, data: Feedback | None = None) -> PreparedCheck:
    """Check data, options and files, and find out what would be run; loads no weights.

    Raises:
        UserError: anything the user can mend.
    """
    if config.data is None:
        raise UserError(
            "no feedback was named.",
            where="DATA",
            mend="Give a file, a folder or a hub id, or `bundled` for the set that comes with "
            "accordant.",
        )
    if config.filter is not None:
        check_target(config.filter, _file_of(config), overwrite=config.overwrite)
    return prepare_check(config, data)


def run_check(
    config: CheckConfig, console: Console, data: Feedback | None = None
) -> tuple[CheckResults, Path]:
    """Run all checks that apply, write the page, the JSON and the filtered feedback.

    Args:
        config: settings of the check.
        console: where people read along.
        data: feedback at hand, in place of what the settings name.

    Returns:
        What was found, and the path of its page.

    Raises:
        UserError: anything the user can mend.
    """
    ready = plan_check(config, data)
    notes = _notes(ready.inputs)
    for line in (*notes, *ready.plan_lines()):
        console.print(line, markup=False, highlight=False)
    inputs = _with_models(config, ready, console)
    findings, not_run, seconds = _run_all(ready, inputs, console)
    results = CheckResults(
        title=f"Check of {Path(config.data or '').name or config.data}",
        source=str(config.data),
        record_type=inputs.feedback.record_type,
        rows=inputs.feedback.rows,
        records=len(inputs.feedback.records),
        findings=in_order(findings),
        held_out=None if inputs.held_out is None else inputs.held_out.source,
        model=config.model if config.model != NO_MODEL else None,
        reference=config.reference,
        not_run=(*ready.not_run, *not_run),
        notes=notes,
        seconds=seconds,
        filtered=_filter(config, findings, console),
        settings=config.model_dump(mode="json", exclude_defaults=True),
        command=" ".join(sys.argv),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    page, _ = write_report(build_check_report(results), config.output_dir)
    return results, page


def _file_of(config: CheckConfig) -> str:
    """Return the name of the feedback as the loader takes it."""
    return str(bundled_path("train")) if config.data == "bundled" else str(config.data)


def _notes(inputs: CheckInputs) -> tuple[str, ...]:
    """Say how the feedback was read."""
    lines = describe_reading(*filter(None, (inputs.feedback, inputs.held_out)))
    if inputs.too_long:
        lines.append(
            f"{len(inputs.too_long):,} records are longer than {inputs.max_tokens:,} tokens: "
            "checks with a model leave them out."
        )
    return tuple(lines)


def _with_models(config: CheckConfig, ready: PreparedCheck, console: Console) -> CheckInputs:
    """Return the inputs with the models that checks read, once it is said how long they take."""
    reads_model = any(check.reads_model for check in ready.checks)
    session = ready.session
    if session is None or not reads_model:
        return ready.inputs
    from accordant.models.facts import read_facts
    from accordant.training.progress import format_seconds, phase

    with phase(console, "loading the model"):
        inputs = replace(ready.inputs, model=session.model)
        if config.reference is not None:
            other = read_facts(config, config.reference).tokenizer
            session.refuse_other_tokenizer(other, config.reference, "--reference")
            inputs = replace(inputs, reference=session.other_model(config.reference))
    speed = measure_speed(inputs)
    if speed:
        console.print(
            f"about {format_seconds(ready.tokens / speed)}: {ready.tokens:,.0f} tokens, "
            f"{speed:,.0f} a second",
            highlight=False,
        )
    return inputs


def measure_speed(inputs: CheckInputs) -> float:
    """Measure the model's forward tokens a second on a few records; 0 where there are none."""
    from accordant.scoring.engine import score_all

    if inputs.encoded is None:
        return 0.0
    trees, tokens = [], 0
    for example in inputs.encoded.examples:
        trees += list(example.trees)
        tokens += example.num_tokens
        if tokens >= FIRST_TOKENS:
            break
    if not trees:
        return 0.0
    score_all(inputs.model, trees, inputs.token_budget)  # the first pass warms caches up
    started = time.monotonic()
    score_all(inputs.model, trees, inputs.token_budget)
    return tokens / max(time.monotonic() - started, 1e-9)


def _run_all(
    ready: PreparedCheck, inputs: CheckInputs, console: Console
) -> tuple[tuple[Finding, ...], list[NotRun], dict[str, float]]:
    """Return what was found, what could not be run after all, and the seconds of every check."""
    findings: list[Finding] = []
    not_run: list[NotRun] = []
    seconds: dict[str, float] = {}
    with _progress(console, ready.tokens, len(ready.checks)) as (begin, advance):
        watched = replace(inputs, advance=advance)
        for check in ready.checks:
            begin(check.title)
            started = time.monotonic()
            try:
                findings.append(check(watched, **ready.options[check.name]))
            except NotApplicableError as reason:
                not_run.append(NotRun(check.name, str(reason)))
            seconds[check.name] = time.monotonic() - started
    return tuple(findings), not_run, seconds


@contextmanager
def _progress(
    console: Console, tokens: float, checks: int
) -> Iterator[tuple[Callable[[str], None], Callable[[int], None]]]:
    """Show a bar over tokens, or over checks where no model is read; elsewhere a line per check.

    Yields:
        a function that names the check that begins, and one that takes tokens done.
    """
    from rich import progress

    if not console.is_terminal:
        yield lambda title: console.print(f"{title} ...", markup=False), lambda _: None
        return
    columns = (
        *(progress.TextColumn("{task.description}"), progress.BarColumn()),
        *(progress.TaskProgressColumn(), progress.TimeRemainingColumn()),
    )
    with progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=tokens or checks)
        begun = 0

        def begin(title: str) -> None:
            nonlocal begun
            bar.update(task, description=title, completed=None if tokens else begun)
            begun += 1

        yield begin, lambda done: bar.advance(task, done)


def _filter(config: CheckConfig, findings: tuple[Finding, ...], console: Console) -> dict[str, Any]:
    """Write the feedback without the rows to leave out; empty where nobody asked for it."""
    if config.filter is None:
        return {}
    written = write_without(
        _file_of(config),
        config.filter,
        {origin for finding in findings for origin in finding.drop},
        split=config.split,
        subset=config.subset,
        limit=config.limit,
    )
    unreadable = f", {written.unreadable:,} could not be read" if written.unreadable else ""
    console.print(
        f"{config.filter}: {written.kept:,} rows kept, {written.dropped:,} left out{unreadable}",
        markup=False,
        highlight=False,
    )
    by_check = {finding.check: len({*finding.drop}) for finding in findings if finding.drop}
    return {"file": str(config.filter), **asdict(written), "by_check": by_check}
