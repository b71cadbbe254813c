"""`accordant merge`: an adapter made part of its base model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accordant.cli.output import examples, print_json, say


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "accordant merge runs/first/model --output-dir runs/first/whole",
            "accordant merge runs/first/model --output-dir whole --overwrite --json",
        ),
    )(merge)


def merge(
    adapter: Annotated[
        str, typer.Argument(metavar="ADAPTER", help="Folder with adapter_config.json.")
    ],
    output_dir: Annotated[
        Path, typer.Option("--output-dir", help="Folder for the whole model.", show_default=False)
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is in the folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the folder as JSON.")] = False,
) -> None:
    """Merge an adapter into its base model and write an ordinary folder.

    The merged model is scored beside the adapter, and read back from the disk, before it is called
    done: a model that is not the one that was trained is refused.
    """
    from accordant.models.merging import export_merged

    card = f"# {output_dir.name}\n\nThe adapter `{adapter}` merged into its base model.\n"
    folder = export_merged(adapter, output_dir, card=card, overwrite=overwrite)
    if as_json:
        print_json({"folder": str(folder)})
    else:
        say(f"Model: {folder}")
