"""Run the `accordant` command: hand over to a verb, and tell a person what went wrong.

Knows how errors reach a person: a user's mistake is one readable message on standard error and exit
code 2; an interruption says how to go on and exits with 130; a bug keeps its traceback. Imports no
verb's module before the verb is used.
"""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from accordant._version import __version__
from accordant.base.errors import UserError
from accordant.cli.output import examples, print_error
from accordant.cli.verbs import ELSEWHERE, HELP, KNOWN_AS, VERBS, Verb, list_verbs, load_verb


class _LazyVerb(TyperCommand):
    """A verb whose name and summary are known; its options are looked up when it is used."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        return load_verb(str(self.name)).make_context(*args, **kwargs)


def _lazy(name: str, verb: Verb) -> _LazyVerb:
    return _LazyVerb(name, callback=None, help=verb.summary, rich_help_panel=verb.panel)


class _Verbs(TyperGroup):
    """The verbs; turns user mistakes and interruptions into messages and exit codes."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, verb in VERBS.items():
            self.add_command(_lazy(name, verb))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        return list(list_verbs())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        # Looked up here, and not above, so that a verb of the core reads no other wheel's metadata.
        if command is None and cmd_name in (verbs := list_verbs()):
            return _lazy(cmd_name, verbs[cmd_name])
        if command is None and cmd_name in ELSEWHERE:
            wheel = ELSEWHERE[cmd_name]
            raise UserError(
                f"`accordant {cmd_name}` comes with {wheel}.", mend=f"`pip install {wheel}`"
            )
        if command is None:
            raise UserError(f"there is no verb '{cmd_name}'.", mend=_suggest(cmd_name))
        return command

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            # A developer wants the place, a user the sentence.
            if ctx.params.get("debug"):
                raise
            print_error(str(error))
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            _say_how_to_go_on(ctx.invoked_subcommand)
            raise typer.Exit(130) from None


def _suggest(word: str) -> str:
    """Return the verb that was meant, by its own name or by what other tools call it."""
    verbs = {verb: verb for verb in list_verbs()}
    verbs |= {name: verb for verb, names in KNOWN_AS.items() for name in names.split()}
    close = get_close_matches(word.lower(), verbs, n=1)
    question = f"Did you mean '{verbs[close[0]]}'? " if close else ""
    return f"{question}`accordant --help` lists all verbs."


def _say_how_to_go_on(verb: str | None) -> None:
    resumable = verb is not None and any(p.name == "resume" for p in load_verb(verb).params)
    how = "The same command with --resume goes on from the last checkpoint, if one was written."
    print_error(how if resumable else "", label="interrupted.")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"accordant {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_Verbs,
    name="accordant",
    rich_markup_mode="rich",
    context_settings=HELP,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    epilog=examples(
        "accordant align --data bundled --learning-rate 1.2e-5 --output-dir runs/first",
        "accordant chat runs/first/model",
        "accordant catalogue --room objectives",
    ),
)


@app.callback()
def accordant(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show the traceback of every error.", envvar="ACCORDANT_DEBUG"
        ),
    ] = False,
) -> None:
    """Align language models with what people want, and check that it worked."""


def main() -> None:
    """Run the installed command."""
    try:
        app(prog_name="accordant")
    except BrokenPipeError:
        # The reader went away (`accordant catalogue | head`): nobody is left to tell. What is still
        # buffered goes nowhere, or the interpreter would complain about it on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
