"""`accordant reproduce`: a paper's claim in miniature, beside what was measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from accordant.base.errors import UserError
from accordant.catalogue.registry import get_system, slugs
from accordant.catalogue.system import System
from accordant.cli.output import console, examples, print_json, print_note, print_table, say
from accordant.statistics.interval import Interval
from accordant_studies.registry import get_study
from accordant_studies.study import Claim, JudgedClaim, Reproduction, Study


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "accordant reproduce steer",
            "accordant reproduce steer --seeds 20",
            "accordant reproduce steer --seeds 100:112 --output-dir runs/other-seeds",
            "accordant reproduce steer --resume",
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
        str | None,
        typer.Option(
            metavar="N|FIRST:END",
            help="How many seeds to repeat the measurement with, the system's own first and then "
            "those that follow them; or which, END left out. More seeds, narrower intervals.",
            show_default="the system's own",
        ),
    ] = None,
    output_dir: Annotated[
        Path, typer.Option(help="Folder where the numbers of every seed are kept, as SLUG.json.")
    ] = Path("runs/reproduce"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the seeds that are there, measure the others.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what will be looked for, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a paper's claim in miniature and say whether its shape shows.

    Exits with 0 when it shows, 1 when it does not, and 2 when the system is planned or unknown.
    """
    entry = get_system(system)
    study = get_study(entry)
    chosen = study.seeds if seeds is None else _read_seeds(seeds, study)
    if dry_run:
        _print_plan(entry, study, chosen)
        return
    # Imported here: the verb's help hashes nothing and asks no repository.
    from accordant_studies.results import StoredRun, measure_seeds, resume_run, version_of

    path = output_dir / f"{entry.slug}.json"
    run = resume_run(path, study) if resume else StoredRun(version_of(study))
    for claim in study.claims:
        if (power := claim.power(len(chosen))) is not None:
            print_note(_power_text(claim, power, len(chosen)))
    measure_seeds(study, run, chosen, path, print_note)
    result = study.run(chosen, run.measured)
    if as_json:
        print_json(result.as_dict(entry))
    else:
        _print(entry, result)
    raise typer.Exit(0 if result.shows else 1)


def _read_seeds(text: str, study: Study) -> tuple[int, ...]:
    first, colon, end = text.partition(":")
    try:
        seeds = tuple(range(int(first), int(end))) if colon else study.first_seeds(int(first))
    except ValueError:
        seeds = ()
    if len(seeds) < 2:
        raise UserError(
            f"'{text}' names no two seeds.",
            where="--seeds",
            mend="Write how many, such as 12, or which, such as 100:112.",
        )
    return seeds


def _print_plan(system: System, study: Study, seeds: tuple[int, ...]) -> None:
    shown = ", ".join(map(str, seeds))
    say(f"{system.id} {system.slug}: {system.claim}")
    say(f"{len(seeds)} seeds: {shown}.")
    for claim in study.claims:
        power = claim.power(len(seeds))
        likely = "" if power is None else f" (power {power:.0%})"
        say(f"- {'control: ' if claim.control else ''}{claim.statement}{likely}")
    for part in study.untested:
        say(f"- not tested: {part}")
    say(study.note)


def _power_text(claim: Claim, power: float, count: int) -> str:
    effect, deviation = claim.expected or (0.0, 0.0)
    return (
        f"Power {power:.0%} with {count} seeds: {claim.statement} (expected {effect:g}, standard "
        f"deviation between seeds {deviation:g})."
    )


def _print(system: System, result: Reproduction) -> None:
    rows = [
        (row.condition, row.quantity, f"{_interval_text(row.value)} {row.unit}".strip())
        for row in result.rows
    ]
    title = f"{system.id} {system.slug}: {system.title}"
    print_table(("condition", "quantity", "measured"), rows, title=title)
    seen = "\n".join(_claim_text(claim) for claim in result.claims)
    _print_beside(("The paper's claim", system.claim), ("Measured here", seen))
    held = sum(claim.holds for claim in result.claims)
    verdict = "The claim's shape shows" if result.shows else "The claim's shape does NOT show"
    say(f"{verdict}: {held} of {len(result.claims)} checks hold with {len(result.seeds)} seeds.")
    if result.note:
        say(result.note)


def _claim_text(claim: JudgedClaim) -> str:
    must = f", must stay above {claim.threshold:g}" if claim.threshold else ""
    verdict = "yes" if claim.holds else "NO"
    return f"{verdict}: {claim.statement}: {_interval_text(claim.evidence)}{must}"


def _print_beside(left: tuple[str, str], right: tuple[str, str]) -> None:
    """Print two titled texts side by side."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column(left[0], ratio=1, overflow="fold")
    table.add_column(right[0], ratio=1, overflow="fold")
    table.add_row(escape(left[1]), escape(right[1]))
    console().print(table)


def _interval_text(interval: Interval) -> str:
    """Write an interval, `0.31 [0.25, 0.37]`; without brackets where its spread is not known."""
    if math.isnan(interval.low):
        return f"{interval.estimate:.3g} (no interval: {interval.count} seed)"
    return f"{interval.estimate:.3g} [{interval.low:.3g}, {interval.high:.3g}]"
