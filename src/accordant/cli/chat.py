"""`accordant chat`: talk to a model in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from accordant.cli.options import options_from
from accordant.cli.output import console, examples
from accordant.runs.settings import ChatConfig


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "accordant chat",
            "accordant chat runs/first/model",
            "accordant chat runs/first/model --temperature 0 --system 'Be brief.'",
            "accordant chat runs/first/model --prompt 'What is a quark?'",
            "cat letter.txt | accordant chat runs/first/model",
        ),
    )(options_from(ChatConfig)(chat))


def chat(
    config: ChatConfig,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A folder, an adapter folder, a GGUF file or a hub id; without it, the small "
            "model that is installed with accordant.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Talk to a model in the terminal."""
    from accordant.runs.chat import run_chat

    run_chat(model, config, console=console())
