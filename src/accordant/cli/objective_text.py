"""Describe one objective as text and as plain values: what `accordant objectives` shows of it.

Knows the registry's records. Knows nothing of an objective's logic or of its loss as a curve: those
come with the studies.
"""

from __future__ import annotations

import inspect
from typing import Any

from accordant.cli.output import print_table, say
from accordant.objectives.preparations import Detail
from accordant.objectives.registry import Objective


def reference(entry: Objective) -> str:
    """Say whether an objective needs a reference model, in a word."""
    return "yes" if entry.needs_reference else "no"


def objective_as_dict(entry: Objective) -> dict[str, Any]:
    """Return what is known of an objective without running it, as plain values."""
    return {
        "name": entry.name,
        "slug": entry.slug,
        "summary": entry.summary,
        "feedback": list(entry.feedback),
        "needs_reference": entry.needs_reference,
        "needs": [need.attaches for need in _details(entry)],
        "on_policy": entry.on_policy,
        "paper": entry.paper,
        "formula": entry.formula,
        "options": [option.entry() for option in entry.options],
    }


def explanation(entry: Objective) -> str:
    """Return the objective's docstring between its first line and its arguments."""
    text = inspect.getdoc(entry.function) or ""
    return text.partition("\n")[2].partition("\nArgs:")[0].strip()


def _details(entry: Objective) -> list[Detail]:
    """List what the objective's records must say beyond their type."""
    return [need for need in entry.prepare if isinstance(need, Detail)]


def print_objective(entry: Objective) -> None:
    """Print an objective's mathematics, feedback, options and paper."""
    rows = [
        ("what", entry.summary),
        ("formula", entry.formula),
        ("feedback", ", ".join(entry.feedback)),
        ("needs a reference", reference(entry)),
        ("paper", entry.paper),
    ]
    if details := _details(entry):
        rows.insert(3, ("needs of each row", " ".join(detail.how for detail in details)))
    if entry.on_policy:
        rows.insert(3, ("answers", "samples of the policy as it is, at every step of a loop"))
    for option in entry.options:
        meaning = f"{option.help} {option.expects.capitalize()}; default {option.default}."
        rows.append((f"--option {option.name}", meaning))
    print_table(("", ""), rows, title=entry.name)
    if text := explanation(entry):
        say(f"\n{text}")
