"""`accordant check`: see what preference training would do to a model, or did, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from accordant.base.errors import UserError
from accordant.cli.options import options_from
from accordant.cli.output import (
    console,
    examples,
    json_option,
    list_option,
    print_json,
    print_table,
    show_report,
)
from accordant.runs.settings import CheckConfig

if TYPE_CHECKING:
    from accordant.checks.registry import Check


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    names = {"only": check_names, "skip": check_names}
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


def check_names() -> list[str]:
    """Return all names, for completion."""
    from accordant.checks.registry import list_checks

    return [check.name for check in list_checks()]


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
    as_json: Annotated[bool, json_option("findings")] = False,
    list_them: Annotated[bool, list_option("checks")] = False,
) -> None:
    """Check feedback before training, or a model after it.

    Every check returns a number against its threshold with the rows behind it. All of them stand on
    one page. Ends with exit code 1 when --fail-on is given and reached.
    """
    if list_them:
        _list(as_json)
        return
    if source is not None:
        if config.data not in (None, source):
            raise UserError(
                f"found '{source}' as DATA and '{config.data}' as --data.",
                where="DATA",
                mend="Name the feedback once.",
            )
        config = config.model_copy(update={"data": source})
    from accordant.checks.findings import reaches
    from accordant.runs.check import plan_check, run_check
    from accordant.runs.check_report import build_check_report

    if config.dry_run:
        ready = plan_check(config)
        if as_json:
            print_json(ready.plan())
        else:
            left_out = [f"not run: {each.check} ({each.reason})" for each in ready.not_run]
            console().print("\n".join([*ready.plan_lines(), *left_out]), markup=False)
        return
    reader = console(to_error=as_json)
    results, page = run_check(config, reader)
    show_report(build_check_report(results), page, reader, as_json=as_json)
    if config.fail_on is not None and reaches(results.worst, config.fail_on):
        raise typer.Exit(1)


def _list(as_json: bool) -> None:
    from accordant.checks.registry import list_checks

    if as_json:
        print_json([_entry(check) for check in list_checks()])
        return
    rows = []
    for check in list_checks():
        options = (f"--option {check.name}.{o.name}={o.default}" for o in check.options)
        records = ", ".join(check.feedback) or "any"
        words = " ".join([check.summary, *options])
        rows.append((check.name, check.when, check.reads, records, words))
    print_table(["check", "training", "needs", "records", "what it looks at"], rows)


def _entry(check: Check) -> dict[str, Any]:
    """Return what is known of a check, as JSON values."""
    shown = ("name", "title", "summary", "when", "needs", "uses", "feedback", "paper")
    entry = {name: getattr(check, name) for name in shown}
    return entry | {"options": [option.entry() for option in check.options]}
