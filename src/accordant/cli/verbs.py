"""Know the verbs of the command line: the core's own, and those that other wheels register.

A wheel registers a verb as an entry point `NAME = "package.module:RECORD"` of the group
`accordant.verbs`, where RECORD is a `Verb`. Under the name of a verb of the core, its commands are
added to those that are there, and replace the ones of the same name. A verb's module is imported
when the verb is used; here are names and summaries alone, so that `--help` is instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import typer

GROUP = "accordant.verbs"
HELP = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb."""

    panel: str  # heading of the help under which it stands
    summary: str  # the first line of its own help
    module: str  # has `register(app)`, which adds the verb's command or commands to a `typer.Typer`


VERBS = {
    "align": Verb(
        "Align",
        "Align a model with feedback: validate, train, measure, and report.",
        "accordant.cli.align",
    ),
    "check": Verb(
        "Align", "Check feedback before training, or a model after it.", "accordant.cli.check"
    ),
    "eval": Verb(
        "Align", "Ask a finished model a suite of questions and count.", "accordant.cli.eval"
    ),
    "score": Verb(
        "Align",
        "Score the answers of feedback as training sees them: a JSON line a record.",
        "accordant.cli.score",
    ),
    "merge": Verb(
        "Use",
        "Merge an adapter into its base model and write an ordinary folder.",
        "accordant.cli.merge",
    ),
    "reward": Verb(
        "Align",
        "Train a reward model, score answers by a reward, measure it and calibrate it.",
        "accordant.cli.reward",
    ),
    "chat": Verb("Use", "Talk to a model in the terminal.", "accordant.cli.chat"),
    "catalogue": Verb(
        "Look",
        "List the published systems: what works and what is planned.",
        "accordant.cli.catalogue",
    ),
    "objectives": Verb(
        "Look", "List the objectives that `align` can train on.", "accordant.cli.objectives"
    ),
}
# What other tools call a verb, for whoever tries that first.
KNOWN_AS = {
    "align": "train dpo finetune fine-tune fit sft kto rlhf",
    "eval": "evaluate test benchmark bench",
    "chat": "generate infer inference serve run talk",
    "score": "logprobs log-probs predict",
    "merge": "export convert fuse",
    "check": "validate lint inspect analyze analyse",
    "objectives": "losses loss methods method",
    "catalogue": "systems papers catalog list",
    "reward": "rm reward-model",
}
# Verbs of wheels that may not be installed: what a person is told to install.
ELSEWHERE = {"reproduce": "accordant-studies"}


# Entry points are looked up on the disk; once for a process is enough.
@cache
def list_verbs() -> dict[str, Verb]:
    """Return all verbs of all installed wheels by name, the core's first."""
    points = [point for point in entry_points(group=GROUP) if point.name not in VERBS]
    return VERBS | {point.name: point.load() for point in points}


def load_verb(name: str) -> Any:
    """Return the complete command of an installed verb, with what other wheels add to it."""
    added = [point.load() for point in entry_points(group=GROUP, name=name)]
    app = typer.Typer(rich_markup_mode="rich", add_completion=False, context_settings=HELP)
    for verb in ([VERBS[name]] if name in VERBS else []) + added:
        import_module(verb.module).register(app)
    command = typer.main.get_command(app)
    command.name = name
    return command
