"""`accordant eval`: ask a finished model a suite of questions and count."""

from __future__ import annotations

from typing import Annotated

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
    say,
    show_report,
)
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
    as_json: Annotated[bool, json_option("results")] = False,
    list_them: Annotated[bool, list_option("suites")] = False,
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
    from accordant.runs.eval import plan_eval, run_eval

    if config.dry_run:
        plan = plan_eval(suite, config)
        if as_json:
            print_json(plan)
        else:
            say("\n".join(f"{name}: {value}" for name, value in plan.items()))
        return
    reader = console(to_error=as_json)
    show_report(*run_eval(suite, config, reader), reader, as_json=as_json)


def _list(as_json: bool) -> None:
    from accordant.suites.registry import list_suites

    suites = list_suites()
    if as_json:
        shown = ("name", "summary", "paper")
        print_json(
            [
                {name: getattr(suite, name) for name in shown}
                | {"options": {option.name: option.default for option in suite.options}}
                for suite in suites
            ]
        )
        return
    rows = [
        (suite.name, suite.summary, ", ".join(option.name for option in suite.options), suite.paper)
        for suite in suites
    ]
    print_table(["suite", "what it asks", "options", "from"], rows)
