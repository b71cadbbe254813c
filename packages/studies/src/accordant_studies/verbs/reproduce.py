"""`accordant reproduce`: a paper's claim in miniature, beside what was measured."""

from __future__ import annotations

from typing import Annotated

import typer

from accordant.catalogue.registry import get_system, slugs
from accordant.catalogue.system import System
from accordant.cli.output import (
    examples,
    interval_text,
    print_beside,
    print_json,
    print_table,
    say,
)
from accordant_studies.registry import get_study
from accordant_studies.study import JudgedClaim, Reproduction


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "accordant reproduce steer",
            "accordant reproduce steer --seeds 10",
            "accordant reproduce steer --json > steer.json",
            "accordant catalogue --state works",
        ),
    )(reproduce)


def reproduce(
    system: Annotated[
        str,
        typer.Argument(metavar="SLUG", help="The system, by its slug or id.", autocompletion=slugs),
    ],
    seeds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Number of seeds to repeat the measurement with; more seeds, narrower intervals. "
            "Without it each system uses its own number.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a paper's claim in miniature and say whether its shape shows.

    Exits with 0 when it shows, 1 when it does not, and 2 when the system is planned or unknown.
    """
    entry = get_system(system)
    result = get_study(entry).run(None if seeds is None else range(seeds))
    if as_json:
        print_json(result.as_dict(entry))
    else:
        _print(entry, result)
    raise typer.Exit(0 if result.shows else 1)


def _print(system: System, result: Reproduction) -> None:
    rows = [
        (row.condition, row.quantity, f"{interval_text(row.value)} {row.unit}".strip())
        for row in result.rows
    ]
    title = f"{system.id} {system.slug}: {system.title}"
    print_table(("condition", "quantity", "measured"), rows, title=title)
    seen = "\n".join(_claim_text(claim) for claim in result.claims)
    print_beside(("The paper's claim", system.claim), ("Measured here", seen))
    held = sum(claim.holds for claim in result.claims)
    verdict = "The claim's shape shows" if result.shows else "The claim's shape does NOT show"
    say(f"{verdict}: {held} of {len(result.claims)} checks hold with {len(result.seeds)} seeds.")
    if result.note:
        say(result.note)


def _claim_text(claim: JudgedClaim) -> str:
    must = f", must stay above {claim.threshold:g}" if claim.threshold else ""
    verdict = "yes" if claim.holds else "NO"
    return f"{verdict}: {claim.statement}: {interval_text(claim.evidence)}{must}"
