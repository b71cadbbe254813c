"""Pages on objectives: one looked at closely, two side by side, and the lattice of structures.

Knows views, plots and the page's template. Knows nothing of files or of the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.cli.objective_text import explanation
from accordant.reports.charts import Plot
from accordant.reports.drawing import FURTHER, UNWANTED, WANTED, mark_value, new_figure
from accordant.reports.pages import render_page

if TYPE_CHECKING:
    from accordant_studies.explore.comparing import ObjectiveComparison, View
    from accordant_studies.explore.logic.lattice import Lattice

_COLOURS = (WANTED, UNWANTED, *FURTHER)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Args:
        title: its heading.
        sentences: paragraphs before the plots.
        plots: plots, one below the other.
        columns: headings of the table.
        rows: cells of the table; the first of a row names it.
    """

    title: str
    sentences: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def objective_page(view: View) -> str:
    """Return the page of one objective, self-contained HTML."""
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
    sections = [
        Section("Mathematics", _paragraphs(explanation(view.objective)), rows=facts),
        Section("Logic", rows=view.logic_rows()),
    ]
    if view.profile is not None:
        margins = view.profile.margins
        losses = {line.name or "loss": line.losses for line in view.profile.lines}
        pushes = {
            f"{answer} {line.name}".strip(): values
            for line in view.profile.lines
            for answer, values in line.pushes.items()
        }
        note = "What gradient descent adds to an answer's log-probability, per nat."
        plots = (
            _plot("loss", "Loss", "The loss of one example.", margins, losses, view.profile.axis),
            _plot("pushes", "Pushes", note, margins, pushes, view.profile.axis),
        )
        sections.append(_numbers("Along the margins", (), plots, margins, losses | pushes))
    return _render(entry.name, entry.summary, sections)


def comparison_page(comparison: ObjectiveComparison) -> str:
    """Return the page of two objectives side by side, self-contained HTML."""
    first, second = comparison.views
    names = (first.objective.name, second.objective.name)
    facts = tuple(
        (name, *(str(value(view)) for view in comparison.views)) for name, value in _FACTS.items()
    )
    sections = [
        Section("Mathematics", columns=("", *names), rows=facts),
        Section("Logic", comparison.logic, rows=()),
    ]
    if comparison.unlike:
        sections.append(Section("Along the margins", (comparison.unlike,)))
    else:
        series = comparison.series()
        parts = {
            key: name for key, name in _PARTS.items() if any(s.startswith(key) for s in series)
        }
        plots = tuple(
            _plot(
                f"part-{key}",
                title,
                "",
                comparison.margins,
                {name: values for name, values in series.items() if name.startswith(key)},
                comparison.axis,
            )
            for key, title in parts.items()
        )
        sections.append(
            _numbers("Along the margins", comparison.remarks(), plots, comparison.margins, series)
        )
    return _render(f"{names[0]} and {names[1]}", "", sections)


def lattice_page(lattice: Lattice) -> str:
    """Return the page of the lattice, self-contained HTML."""
    from accordant_studies.explore.logic.lattice import draw_figure

    rows = tuple(
        (" = ".join(names), str(meaning))
        for names, meaning in zip(lattice.classes, lattice.meanings, strict=True)
    )
    entailed = "; ".join(
        f"{' = '.join(lattice.classes[i])} entails {' = '.join(lattice.classes[j])}"
        for i, j in lattice.covers
    )
    plot = Plot(
        "lattice",
        "Entailment",
        "A line leads down from a structure to what it entails: above, more is asked for.",
        f"{entailed}.",
        draw_figure(lattice),
        wide=True,
    )
    return _render(
        "The lattice of losses",
        "With one link and one kind of probability, the loss of a structure is nowhere smaller "
        "than that of a structure it entails.",
        [Section("Order", plots=(plot,)), Section("Structures", rows=rows)],
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


def _plot(
    identifier: str,
    title: str,
    note: str,
    margins: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    axis: str,
) -> Plot:
    import plotly.graph_objects as go

    figure = new_figure(f"{axis}, nats", "")
    for colour, (name, values) in zip(_COLOURS, lines.items(), strict=False):
        figure.add_trace(
            go.Scatter(x=list(margins), y=list(values), name=name, line={"color": colour})
        )
    mark_value(figure, 0.0, "", vertical=True)
    described = "; ".join(
        f"{name} goes from {values[0]:.4g} to {values[-1]:.4g}" for name, values in lines.items()
    )
    return Plot(identifier, title, note, f"{title}: {described}.", figure, wide=True)


def _numbers(
    title: str,
    sentences: tuple[str, ...],
    plots: tuple[Plot, ...],
    margins: Sequence[float],
    series: Mapping[str, Sequence[float]],
) -> Section:
    """Return a section with plots, and every fifth of their numbers as a table."""
    rows = tuple(
        (f"{margins[place]:g}", *(f"{values[place]:.4g}" for values in series.values()))
        for place in range(0, len(margins), 5)
    )
    return Section(title, sentences, plots, ("margin", *series), rows)


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split("\n\n") if part)


def _render(title: str, lead: str, sections: Sequence[Section]) -> str:
    plots = [plot for section in sections for plot in section.plots]
    return render_page("objective.html.j2", plots, title=title, lead=lead, sections=sections)
