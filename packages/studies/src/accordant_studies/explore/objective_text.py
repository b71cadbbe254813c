"""One objective, or two side by side, as text and as JSON: used by `accordant objectives`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accordant.cli.output import print_table, say
from accordant.objectives.feedback import DETAILS
from accordant.objectives.registry import Objective

if TYPE_CHECKING:
    from accordant_studies.explore.comparing import Comparison, View


def reference(entry: Objective) -> str:
    """Whether an objective needs a reference model, in a word."""
    return "yes" if entry.needs_reference else "no"


def as_dict(entry: Objective) -> dict[str, Any]:
    """What is known of an objective without running it, as plain values."""
    return {
        "name": entry.name,
        "slug": entry.slug,
        "summary": entry.summary,
        "feedback": list(entry.feedback),
        "needs_reference": entry.needs_reference,
        "needs": list(entry.needs),
        "paper": entry.paper,
        "formula": entry.formula,
        "options": [
            {
                "name": option.name,
                "default": option.default,
                "expects": option.expects,
                "help": option.help,
            }
            for option in entry.options
        ],
    }


def print_objective(view: View) -> None:
    """Mathematics, logic and the plot of one objective."""
    from accordant_studies.explore.plots import draw_lines

    entry = view.objective
    rows = [
        ("what", entry.summary),
        ("formula", entry.formula),
        ("feedback", ", ".join(entry.feedback)),
        ("needs a reference", reference(entry)),
        ("paper", entry.paper),
    ]
    if entry.needs:
        details = [DETAILS[field] for field in entry.needs]
        rows.insert(3, ("needs of each row", " ".join(detail.how for detail in details)))
    for option in entry.options:
        meaning = f"{option.help} {option.expects.capitalize()}; default {option.default}."
        rows.append((f"--option {option.name}", meaning))
    print_table(("", ""), rows, title=entry.name)
    if view.explanation:
        say(f"\n{view.explanation}")
    say("\nLogic")
    print_table(("", ""), [*view.logic_rows()])
    if view.profile is None:
        say("\nLoss: a margin does not describe this kind of feedback, so there is no plot.")
        return
    say(f"\nLoss; options: {view.options_text}")
    lines = {line.name or "loss": line.losses for line in view.profile.lines}
    say(draw_lines(view.profile.margins, lines, x_title=f"{view.profile.axis}, nats"))


def print_comparison(comparison: Comparison) -> None:
    """Two objectives: formulas, logic, and a table over margins."""
    from accordant_studies.explore.plots import draw_lines

    views = comparison.views
    names = tuple(view.objective.name for view in views)
    rows = [
        ("formula", *(view.objective.formula for view in views)),
        ("feedback", *(", ".join(view.objective.feedback) for view in views)),
        ("needs a reference", *(reference(view.objective) for view in views)),
        ("paper", *(view.objective.paper for view in views)),
        ("options", *(view.options_text for view in views)),
        ("means", *(view.meaning for view in views)),
    ]
    print_table(("", *names), rows, wrap=names)
    say("\n".join(("Logic", *(f"  {sentence}" for sentence in comparison.logic), "")))
    if comparison.unlike:
        say(comparison.unlike)
        return
    say(f"Losses and pushes by {comparison.axis}, nats")
    say("(a push is what gradient descent adds to an answer's log-probability, per nat)")
    columns, numbers = comparison.table()
    print_table(columns, [tuple(map(_number, row)) for row in numbers], wrap=columns)
    say("\n".join(comparison.remarks()))
    lines = {
        name.removeprefix("loss "): values
        for name, values in comparison.series().items()
        if name.startswith("loss ")
    }
    say("\n" + draw_lines(comparison.margins, lines, x_title=f"{comparison.axis}, nats"))


def _number(value: float) -> str:
    return f"{value:.4g}"
