"""`accordant chat`: talk to a model in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from accordant.base.settings import Settings, setting
from accordant.cli.options import options_from
from accordant.cli.output import console, examples

SAMPLING = "Sampling"
MODEL = "Model"


class ChatConfig(Settings):
    """Settings of `accordant chat`."""

    system: str | None = setting(
        None, "System message the conversation starts with.", default_text="the chat template's"
    )
    prompt: str | None = setting(
        None,
        "Message to answer once, instead of talking; standard input that is no terminal is one.",
    )
    temperature: float = setting(
        0.7, "Sampling temperature; 0 always takes the likeliest token.", panel=SAMPLING, ge=0
    )
    top_p: float = setting(
        0.95,
        "Sample from the likeliest tokens that hold this much probability.",
        panel=SAMPLING,
        gt=0,
        le=1,
    )
    top_k: int = setting(0, "Sample from so many likeliest tokens; 0: all.", panel=SAMPLING, ge=0)
    max_new_tokens: int = setting(512, "Most tokens of an answer.", panel=SAMPLING, ge=1)
    seed: int = setting(0, "Seed of the sampling.", panel=SAMPLING, ge=0)
    revision: str | None = setting(None, "Branch, tag or commit of a hub model.", panel=MODEL)
    trust_remote_code: bool = setting(
        False, "Run model code that comes with the weights.", panel=MODEL
    )


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

    run_chat(model, **dict(config), console=console())
