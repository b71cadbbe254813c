"""`accordant align`: train a model on feedback and report whether it worked."""

from __future__ import annotations

from typing import Annotated

import typer

from accordant.cli.objectives import objective_names
from accordant.cli.options import options_from
from accordant.cli.output import console, examples, json_option, print_json
from accordant.runs.settings import AlignConfig


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "accordant align --data bundled --learning-rate 1.2e-5 --output-dir runs/first",
            "accordant align --data pairs.jsonl --method dpo --option beta=0.2",
            "accordant align --data pairs.jsonl --model ./my-model --lora-rank 16",
            "accordant align --config run.yaml --learning-rate 2e-6 --seed 1",
            "accordant align --data pairs.jsonl --dry-run",
            "accordant align --config run.yaml --resume",
            "accordant align --config run.yaml --sweep method=dpo,ln_dpo "
            "--sweep dpo.beta=0.05,0.1 --sweep ln_dpo.beta=1,2",
            "accordant align --config run.yaml --sweep sweep.yaml --dry-run",
        ),
    )(options_from(AlignConfig, suggest={"method": objective_names})(align))


def align(
    config: AlignConfig,
    as_json: Annotated[bool, json_option("result")] = False,
) -> None:
    """Align a model with feedback: validate, train, measure, and report."""
    reader = console(to_error=as_json)
    if config.sweep:
        from accordant.runs.sweep.sweep import run_sweep

        sweep = run_sweep(config, console=reader)
        if as_json:
            print_json(sweep)
        if sweep.failed:
            raise typer.Exit(1)
        return
    from accordant.runs.align.execute import run_align

    done = run_align(config, console=reader)
    if as_json:
        print_json(done.outcome)
