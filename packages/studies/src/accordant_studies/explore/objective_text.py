"""Print an objective's logic and loss, or two objectives side by side.

Knows views and comparisons in plain values; used by the commands of `accordant objectives`.
"""

from __future__ import annotations

from accordant.cli.objective_text import print_objective, reference
from accordant.cli.output import print_table, say
from accordant_studies.explore.comparing import ObjectiveComparison, View


def print_view(view: View) -> None:
    """Print the mathematics, the logic and the plot of one objective."""
    from accordant_studies.explore.plots import draw_lines

    print_objective(view.objective)
    say("\nLogic")
    print_table(("", ""), [*view.logic_rows()])
    if view.profile is None:
        say("\nLoss: a margin does not describe this kind of feedback, so there is no plot.")
        return
    say(f"\nLoss; options: {view.options_text}")
    lines = {line.name or "loss": line.losses for line in view.profile.lines}
    say(draw_lines(view.profile.margins, lines, x_title=f"{view.profile.axis}, nats"))


def print_comparison(comparison: ObjectiveComparison) -> None:
    """Print two objectives: formulas, logic, and a table over margins."""
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
