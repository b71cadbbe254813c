"""`accordant eval`: ask a finished model a suite of questions and count."""

from __future__ import annotations

from typing import Annotated

import typer

from accordant.base.errors import UserError
from accordant.cli.options import options_from
from accordant.cli.output import console, examples, print_json, print_table, say
from accordant.runs.settings import EvalConfig


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "accordant eval honesty",
            "accordant eval honesty --model runs/first/model --limit 20 --json",
            "accordant eval honesty --model runs/first/model --output-dir after "
            "--option before=outputs/eval/honesty.json",
            "accordant eval honesty --model ./my-model --server http://localhost:8000 --dry-run",
            "accordant eval --list",
        ),
    )(options_from(EvalConfig)(evaluate))


def suite_names() -> list[str]:
    """Return all names, for completion."""
    from accordant.suites.registry import list_suites

    return [entry.name for entry in list_suites()]


def evaluate(
    config: EvalConfig,
    suite: Annotated[
        str | None,
        typer.Argument(
            metavar="SUITE",
            help="What to ask; --list names the suites.",
            show_default=False,
            autocompletion=suite_names,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the results, or the plan of a dry run, as one JSON object; all else goes "
            "to standard error.",
        ),
    ] = False,
    list_them: Annotated[
        bool, typer.Option("--list", help="List all suites with their options, and stop.")
    ] = False,
) -> None:
    """Ask a finished model a suite of questions and count.

    Every number comes with its 95 % interval, on one page with every answer. The messages lie in
    inspect-ai's log beside it (`inspect view`). Needs `pip install 'accordant[eval]'`.
    """
    if list_them:
        _list(as_json)
        return
    if suite is None:
        raise UserError("no suite was named.", mend=f"There are: {', '.join(suite_names())}.")
    from accordant.reports.terminal import print_report
    from accordant.reports.writing import json_values
    from accordant.runs.eval import plan_eval, run_eval

    if config.dry_run:
        plan = plan_eval(suite, config)
        if as_json:
            print_json(plan)
            return
        for name, value in plan.items():
            say(f"{name}: {value}")
        return
    reader = console(to_error=as_json)
    report, page = run_eval(suite, config, reader)
    if as_json:
        print_json(json_values(report))
    else:
        print_report(report, reader)
        reader.print(f"report: {page}", markup=False, highlight=False, soft_wrap=True)


def _list(as_json: bool) -> None:
    from accordant.suites.registry import list_suites

    entries = [
        {
            "name": entry.name,
            "summary": entry.summary,
            "paper": entry.paper,
            "options": {option.name: option.default for option in entry.options},
        }
        for entry in list_suites()
    ]
    if as_json:
        print_json(entries)
        return
    rows = [
        (str(e["name"]), str(e["summary"]), ", ".join(e["options"]), str(e["paper"]))
        for e in entries
    ]
    print_table(["suite", "what it asks", "options", "from"], rows)
