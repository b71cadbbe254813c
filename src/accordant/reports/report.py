"""A report as data: a title, a verdict, and sections of figures, tables, plots, findings, answers.

Knows texts, numbers in words, charts and findings. Knows no verb: each builds its report from what
it measured, and one writer each makes the page, the JSON and the lines in a terminal of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from accordant.checks.findings import Finding, Severity
from accordant.statistics.charts import Chart
from accordant.statistics.measures import KeyFigure, Tone


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table; `on` says who shows it."""

    name: str
    numeric: bool = False
    on: Literal["page", "terminal", "both"] = "both"


def columns(*names: str) -> tuple[TableColumn, ...]:
    """Return columns that page and terminal show; `#` begins the name of a numeric one."""
    return tuple(
        TableColumn(name.removeprefix("#"), numeric=name.startswith("#")) for name in names
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Args:
        text: what it holds.
        small: lines below it; in a terminal only those of numbers.
        href: where it leads.
        mark: how it is set apart: a severity or an outcome as a pill, or `code`.
    """

    text: str
    small: tuple[str, ...] = ()
    href: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers a reader looks for first, as cards."""

    figures: tuple[KeyFigure, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column that is not numeric names the rows.

    Args:
        label: what it shows, for who cannot see it.
        columns: headings; all empty for none.
        rows: cells, one a column.
        title: heading above it.
        wide: whether it takes the whole width of a page.
        in_terminal: whether a terminal shows it too.
    """

    label: str
    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[Cell | str, ...], ...]
    title: str = ""
    wide: bool = True
    in_terminal: bool = False


@dataclass(frozen=True, slots=True)
class Plots:
    """Charts by their identifiers in the page: letters, digits and hyphens.

    Args:
        charts: what is drawn.
        folded: heading they are folded away behind; empty for none.
        few: whether few of them share the width of a page.
    """

    charts: Mapping[str, Chart]
    folded: str = ""
    few: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What checks found; a terminal shows those that are `least` or worse."""

    findings: tuple[Finding, ...]
    least: Severity = "info"


@dataclass(frozen=True, slots=True)
class ComparedAnswer:
    """One of two answers that are compared.

    Args:
        text: the answer as a person would read it.
        finished: True when the model ended it itself (end-of-turn), False when it was cut off.
        tokens: its length in tokens, the end-of-turn token included; None where unknown.
    """

    text: str
    finished: bool
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """Two answers to one prompt with the judge's scores; `outcome` is the later answer's."""

    prompt: str
    before: ComparedAnswer
    after: ComparedAnswer
    score_before: float
    score_after: float
    outcome: Literal["win", "tie", "loss"]
    changed: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers before and after, side by side, to be searched and filtered; `judge` scored them."""

    judge: str
    pairs: tuple[ComparedPair, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Values by name, such as settings.

    Args:
        title: heading above them.
        rows: names and values.
        code: whether names and values are code.
        wide: whether they take the whole width of a page.
        empty: what stands there where there are none.
    """

    title: str
    rows: tuple[tuple[str, str], ...]
    code: bool = False
    wide: bool = False
    empty: str = "none recorded"


@dataclass(frozen=True, slots=True)
class Prose:
    """Paragraphs below a heading; `code` for a command."""

    title: str
    paragraphs: tuple[str, ...]
    code: bool = False


Part = Figures | Table | Plots | Findings | Answers | Facts | Prose


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page that can be jumped to.

    Args:
        anchor: its identifier in the page.
        name: how the list of sections calls it.
        parts: what it shows.
        lead: a sentence below the heading.
        title: its heading; empty where that is its name.
    """

    anchor: str
    name: str
    parts: tuple[Part, ...]
    lead: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A line for terminals, beside what the sections say: `failed: dpo beta=1: memory ran out`."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a verb reports.

    Args:
        title: heading.
        verdict: what was found, in a line or two.
        sections: the page below the verdict; those without parts are left out.
        name: stem of its files: `report` for `report.html` and `report.json`.
        kind: what it is a report of, above the heading.
        tone: whether the verdict is good news.
        facts: what it is about, by name, below the heading.
        head: what stands between the verdict and the sections.
        notices: further lines for a terminal.
        record: what was measured, written to JSON field by field.
        schema: version of that record's fields; 0 where no JSON is written.
        further: other files that are written beside the page: name to text.
    """

    title: str
    verdict: str
    sections: tuple[Section, ...]
    name: str = "report"
    kind: str = "report"
    tone: Tone = "neutral"
    facts: tuple[tuple[str, str], ...] = ()
    head: tuple[Part, ...] = ()
    notices: tuple[Notice, ...] = ()
    record: Any = None
    schema: int = 0
    further: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts, in the order of the page."""
        return (*self.head, *(part for section in self.sections for part in section.parts))
