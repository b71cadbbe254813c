"""Reports on objectives: one looked at closely, two side by side, and the lattice of structures.

Knows views, charts and the parts of a report. Knows nothing of files or of the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from accordant.cli.objective_text import explanation
from accordant.reports.report import Facts, Part, Plots, Prose, Report, Section, Table, columns
from accordant.statistics.charts import Chart, Mark, Series

if TYPE_CHECKING:
    from accordant_studies.explore.comparing import ObjectiveComparison, View
    from accordant_studies.explore.logic.lattice import Lattice


def objective_report(view: View) -> Report:
    """Build the report of one objective."""
    entry = view.objective
    options = tuple(
        (f"option {option.name}", f"{option.help} Here {view.options[option.name]}.")
        for option in entry.options
    )
    facts = (
        ("formula", entry.formula),
        ("feedback", ", ".join(entry.feedback)),
        ("needs a reference", "yes" if entry.needs_reference else "no"),
        ("paper", entry.paper),
        *options,
    )
    mathematics = (
        Prose("", _paragraphs(explanation(view.objective))),
        Facts("Of the objective", facts, wide=True),
    )
    sections = [
        Section("mathematics", "Mathematics", mathematics),
        Section("logic", "Logic", (_table("Logic", (), view.logic_rows()),)),
    ]
    if view.profile is not None:
        margins = view.profile.margins
        losses = {line.name or "loss": line.losses for line in view.profile.lines}
        pushes = {
            f"{answer} {line.name}".strip(): values
            for line in view.profile.lines
            for answer, values in line.pushes.items()
        }
        charts = {
            "loss": _chart("Loss", "The loss of one example.", margins, losses, view.profile.axis),
            "pushes": _chart(
                "Pushes",
                "What gradient descent adds to an answer's log-probability, per nat.",
                margins,
                pushes,
                view.profile.axis,
            ),
        }
        sections.append(_numbers((), charts, margins, losses | pushes))
    return _report(entry.name, entry.summary, sections)


def comparison_report(comparison: ObjectiveComparison) -> Report:
    """Build the report of two objectives side by side."""
    first, second = comparison.views
    names = (first.objective.name, second.objective.name)
    facts = tuple(
        (name, *(str(value(view)) for view in comparison.views)) for name, value in _FACTS.items()
    )
    sections = [
        Section("mathematics", "Mathematics", (_table("Mathematics", ("", *names), facts),)),
        Section("logic", "Logic", (Prose("", comparison.logic),)),
    ]
    if comparison.unlike:
        unlike = (Prose("", (comparison.unlike,)),)
        sections.append(Section("margins", "Along the margins", unlike))
    else:
        series = comparison.series()
        charts = {
            f"part-{key}": _chart(
                title,
                "",
                comparison.margins,
                {name: values for name, values in series.items() if name.startswith(key)},
                comparison.axis,
            )
            for key, title in _PARTS.items()
            if any(name.startswith(key) for name in series)
        }
        sections.append(_numbers(comparison.remarks(), charts, comparison.margins, series))
    return _report(f"{names[0]} and {names[1]}", "", sections)


def lattice_report(lattice: Lattice) -> Report:
    """Build the report of the lattice."""
    from accordant_studies.explore.logic.lattice import lattice_chart

    names = [" = ".join(members) for members in lattice.classes]
    order = (
        Plots({"lattice": lattice_chart(lattice)}),
        Prose("", tuple(f"{names[i]} entails {names[j]}" for i, j in lattice.covers)),
    )
    rows = tuple(zip(names, map(str, lattice.meanings), strict=True))
    return _report(
        "The lattice of losses",
        "With one link and one kind of probability, the loss of a structure is nowhere smaller "
        "than that of a structure it entails.",
        [
            Section("order", "Order", order),
            Section("structures", "Structures", (_table("Structures", (), rows),)),
        ],
    )


_FACTS = {
    "formula": lambda view: view.objective.formula,
    "feedback": lambda view: ", ".join(view.objective.feedback),
    "needs a reference": lambda view: "yes" if view.objective.needs_reference else "no",
    "paper": lambda view: view.objective.paper,
    "options": lambda view: view.options_text,
    "means": lambda view: view.meaning,
}
_PARTS = {
    "loss": "Losses",
    "chosen": "Pushes on the chosen answer",
    "rejected": "Pushes on the rejected answer",
    "better": "Pushes on the better answer",
    "other": "Pushes on the other answer",
    "answer": "Pushes on the answer",
}


def _chart(
    title: str,
    note: str,
    margins: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    axis: str,
) -> Chart:
    series = tuple(
        Series(name, tuple(values), tuple(margins), style="line") for name, values in lines.items()
    )
    return Chart("lines", title, note, f"{axis}, nats", "", series, (Mark(0.0),), wide=True)


def _numbers(
    sentences: tuple[str, ...],
    charts: Mapping[str, Chart],
    margins: Sequence[float],
    series: Mapping[str, Sequence[float]],
) -> Section:
    """A section with plots, and every fifth of their numbers as a table."""
    rows = tuple(
        (f"{margins[place]:g}", *(f"{values[place]:.4g}" for values in series.values()))
        for place in range(0, len(margins), 5)
    )
    remarks: tuple[Part, ...] = (Prose("", sentences),) if sentences else ()
    table = _table("Along the margins", ("margin", *series), rows)
    return Section("margins", "Along the margins", (*remarks, Plots(charts), table))


def _table(label: str, names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Table:
    headings = names or ("",) * len(rows[0] if rows else ())
    return Table(label, columns(*headings), tuple(rows))


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split("\n\n") if part)


def _report(title: str, lead: str, sections: Sequence[Section]) -> Report:
    return Report(title, lead, tuple(sections), kind="objectives")
