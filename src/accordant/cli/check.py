"""`accordant check`: see what preference training would do to a model, or did, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accordant.base.errors import UserError
from accordant.cli.options import options_from
from accordant.cli.output import console, examples, print_json, print_table
from accordant.runs.settings import CheckConfig

if TYPE_CHECKING:
    from accordant.checks.registry import Check


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    names = {"only": _names, "skip": _names}
    app.command(
        epilog=examples(
            "accordant check pairs.jsonl",
            "accordant check pairs.jsonl --model none --fail-on warning",
            "accordant check pairs.jsonl --model ./my-model --only ches --filter clean.jsonl",
            "accordant check train.jsonl --held-out-data test.jsonl --only leakage",
            "accordant check pairs.jsonl --model runs/first/model --reference embedded",
            "accordant check pairs.jsonl --dry-run",
            "accordant check --list",
        ),
    )(options_from(CheckConfig, suggest=names)(check))


def check(
    config: CheckConfig,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="Feedback to check: a file, a folder, a hub id, or `bundled`.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the findings, or the plan of a dry run, as one JSON object; all else goes "
            "to standard error.",
        ),
    ] = False,
    list_them: Annotated[
        bool, typer.Option("--list", help="List all checks with their options, and stop.")
    ] = False,
) -> None:
    """Check feedback before training, or a model after it.

    Every check returns a number against its threshold with the rows behind it. All of them stand on
    one page. Ends with exit code 1 when --fail-on is given and reached.
    """
    if list_them:
        _list(as_json)
        return
    if source is not None:
        config = _with_source(config, source)
    from accordant.runs.check import check_plan_lines, plan_check, run_check

    reader = console(to_error=as_json)
    if config.dry_run:
        _, plan = plan_check(config)
        if as_json:
            print_json(asdict(plan))
            return
        for line in check_plan_lines(plan):
            reader.print(line, markup=False, highlight=False)
        return
    results, page = run_check(config, reader)
    from accordant.checks.findings import reaches
    from accordant.reports.terminal import print_report
    from accordant.reports.writing import json_values
    from accordant.runs.check_report import build_check_report

    report = build_check_report(results)
    if as_json:
        print_json(json_values(report))
    else:
        print_report(report, reader)
        reader.print(f"report: {page}", markup=False, highlight=False, soft_wrap=True)
    if config.fail_on is not None and reaches(results.worst, config.fail_on):
        raise typer.Exit(1)


def _with_source(config: CheckConfig, source: str) -> CheckConfig:
    if config.data not in (None, source):
        raise UserError(
            f"found '{source}' as DATA and '{config.data}' as --data.",
            where="DATA",
            mend="Name the feedback once.",
        )
    return config.model_copy(update={"data": source})


def _names() -> list[str]:
    from accordant.checks.registry import list_checks

    return [one.name for one in list_checks()]


def _list(as_json: bool) -> None:
    from accordant.checks.registry import list_checks

    found = list_checks()
    if as_json:
        print_json([_entry(one) for one in found])
        return
    rows = [
        (
            one.name,
            one.when,
            one.reads,
            ", ".join(one.feedback) or "any",
            " ".join(
                [one.summary, *(f"--option {one.name}.{o.name}={o.default}" for o in one.options)]
            ),
        )
        for one in found
    ]
    print_table(["check", "training", "needs", "records", "what it looks at"], rows)


def _entry(one: Check) -> dict[str, Any]:
    """Return what is known of a check, as JSON values."""
    shown = ("name", "title", "summary", "when", "needs", "uses", "feedback", "paper")
    options = [
        {"name": o.name, "default": o.default, "expects": o.expects, "help": o.help}
        for o in one.options
    ]
    return {name: getattr(one, name) for name in shown} | {"options": options}
