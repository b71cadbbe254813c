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
    """A cell of a table."""

    text: str  # what it holds
    small: tuple[str, ...] = ()  # lines below it; in a terminal only those of numbers
    href: str = ""  # where it leads
    mark: str = ""  # how it is set apart: a severity or an outcome as a pill, or `code`


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers a reader looks for first, as cards."""

    figures: tuple[KeyFigure, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column that is not numeric names the rows."""

    label: str  # what it shows, for who cannot see it
    columns: tuple[TableColumn, ...]  # headings; all empty for none
    rows: tuple[tuple[Cell | str, ...], ...]  # cells, one a column
    title: str = ""  # heading above it
    wide: bool = True  # whether it takes the whole width of a page
    in_terminal: bool = False  # whether a terminal shows it too


@dataclass(frozen=True, slots=True)
class Plots:
    """Charts by their identifiers in the page: letters, digits and hyphens."""

    charts: Mapping[str, Chart]  # what is drawn
    folded: str = ""  # heading they are folded away behind; empty for none
    few: bool = False  # whether few of them share the width of a page


@dataclass(frozen=True, slots=True)
class Findings:
    """What checks found; a terminal shows those that are `least` or worse."""

    findings: tuple[Finding, ...]
    least: Severity = "info"


@dataclass(frozen=True, slots=True)
class ComparedAnswer:
    """One of two answers that are compared."""

    text: str  # the answer as a person would read it
    finished: bool  # True when the model ended it itself (end-of-turn), False when it was cut off
    # its length in tokens, the end-of-turn token included; None where unknown
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
    """Values by name, such as settings."""

    title: str  # heading above them
    rows: tuple[tuple[str, str], ...]  # names and values
    code: bool = False  # whether names and values are code
    wide: bool = False  # whether they take the whole width of a page
    empty: str = "none recorded"  # what stands there where there are none


@dataclass(frozen=True, slots=True)
class Prose:
    """Paragraphs below a heading; `code` for a command."""

    title: str
    paragraphs: tuple[str, ...]
    code: bool = False


Part = Figures | Table | Plots | Findings | Answers | Facts | Prose


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page that can be jumped to."""

    anchor: str  # its identifier in the page
    name: str  # how the list of sections calls it
    parts: tuple[Part, ...]  # what it shows
    lead: str = ""  # a sentence below the heading
    title: str = ""  # its heading; empty where that is its name


@dataclass(frozen=True, slots=True)
class Notice:
    """A line for terminals, beside what the sections say: `failed: dpo beta=1: memory ran out`."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a verb reports."""

    title: str  # heading
    verdict: str  # what was found, in a line or two
    sections: tuple[Section, ...]  # the page below the verdict; those without parts are left out
    name: str = "report"  # stem of its files: `report` for `report.html` and `report.json`
    kind: str = "report"  # what it is a report of, above the heading
    tone: Tone = "neutral"  # whether the verdict is good news
    facts: tuple[tuple[str, str], ...] = ()  # what it is about, by name, below the heading
    head: tuple[Part, ...] = ()  # what stands between the verdict and the sections
    notices: tuple[Notice, ...] = ()  # further lines for a terminal
    record: Any = None  # what was measured, written to JSON field by field
    schema: int = 0  # version of that record's fields; 0 where no JSON is written
    # other files that are written beside the page: name to text
    further: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts, in the order of the page."""
        return (*self.head, *(part for section in self.sections for part in section.parts))
