"""`accordant score`: log-probabilities and rewards of the answers of feedback, as JSON lines."""

from __future__ import annotations

from typing import Annotated

import typer

from accordant.cli.options import options_from
from accordant.cli.output import console, examples, print_json, say
from accordant.runs.settings import ScoreConfig


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "accordant score --data pairs.jsonl --model runs/first/model",
            "accordant score --data pairs.jsonl --model runs/first/model --reference embedded "
            "--output scores.jsonl",
            "accordant score --data pairs.jsonl --reward rule:concise --output scores.jsonl",
            "accordant score --data pairs.jsonl --output scores.jsonl --resume",
            "accordant score --data pairs.jsonl --dry-run --json",
        ),
    )(options_from(ScoreConfig)(score))


def score(
    config: ScoreConfig,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the summary, or the plan of a dry run, as JSON."),
    ] = False,
) -> None:
    """Score the answers of feedback as training sees them: a JSON line a record.

    A line has the prompt, and of every answer its text, tokens and summed log-probability in nats;
    with --reference the reference's, the implicit reward and the margin; with --reward its numbers.
    """
    from accordant.runs.score import plan_score, run_score

    if config.dry_run:
        plan = plan_score(config).to_json()
        if as_json:
            print_json(plan)
            return
        for name, value in plan.items():
            if value is not None:
                say(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}")
        return
    # Without a file the lines have standard output to themselves.
    summary = run_score(config, console(to_error=True))
    if as_json and config.output is not None:
        print_json(summary)
    elif config.output is not None:
        say(f"{summary['records']:,} records, {summary['answers']:,} answers: {config.output}")
