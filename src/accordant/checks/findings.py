"""What a check returns (`Outcome`), how severe it is (`Scale`), and what is reported (`Finding`).

Knows numbers, texts and where they were read. Knows nothing of models, plots or files. The registry
completes an outcome to a finding; the JSON of a report is findings field by field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from accordant.feedback.records import Origin
from accordant.statistics.charts import Chart
from accordant.statistics.interval import Interval
from accordant.statistics.measures import Measure

Severity = Literal["ok", "info", "warning", "serious"]
SEVERITIES: tuple[Severity, ...] = ("ok", "info", "warning", "serious")
EXCERPT = 160  # characters


@dataclass(frozen=True, slots=True)
class Threshold:
    """The value from which on a finding is raised.

    Args:
        value: in the unit of the finding's number.
        source: where it comes from: a paper, a formula, or the reason it was chosen.
    """

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Passage:
    """One text of a row, whole: `label` says what it is (`prompt`, `chosen`, ...)."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One row of the feedback, or a group of rows, that a finding rests on.

    Args:
        value: the row's number, in `Finding.row_unit`.
        passages: its texts in full.
        origin: where it was read; None for what was read nowhere (a generated answer).
        also: further rows it concerns, such as those it duplicates.
        note: what is wrong with it, in a few words.
    """

    value: float
    passages: tuple[Passage, ...]
    origin: Origin | None = None
    also: tuple[Origin, ...] = ()
    note: str = ""

    @property
    def excerpt(self) -> str:
        """The beginning of its texts on one line."""
        # Texts may hold line breaks, and a terminal shows a row in one line.
        line = " | ".join(" ".join(passage.text.split()) for passage in self.passages)
        return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, as reports show it; fields that are not named here as in `Outcome`.

    Args:
        check: name of the check, as in `--only`.
        title: heading.
        severity: `ok` where the criterion was not met: the finding is then not raised.
        sentence: what was found and what it means, in plain words.
        mend: what to do about it; empty where there is nothing to do.
        threshold: what the number was held against; None where there is none.
        rows: some of the `concerned`, the worst first.
        step: optimiser step it was raised at, during training; None elsewhere.
    """

    check: str
    title: str
    severity: Severity
    quantity: str
    number: Interval
    sentence: str
    unit: str = "number"
    mend: str = ""
    threshold: Threshold | None = None
    rows: tuple[FindingRow, ...] = ()
    row_unit: str = "number"
    concerned: int = 0
    drop: tuple[Origin, ...] = ()
    measures: tuple[Measure, ...] = ()
    charts: tuple[Chart, ...] = ()
    step: int | None = None

    @property
    def raised(self) -> bool:
        """Whether its criterion was met."""
        return self.severity != "ok"


Levels = Mapping[float, Severity]


@dataclass(frozen=True, slots=True)
class Scale:
    """From which value on a number is how severe; the worst level that is reached counts.

    Args:
        source: where the levels come from: a paper, a formula, or the reason they were chosen.
        above: the estimate lies above the level.
        surely_above: the whole interval does.
        surely_below: the whole interval lies below the level.
        surely_off: the whole interval lies further than the level from `middle`, on either side.
        middle: what `surely_off` is measured from.
        threshold: the value that reports show; by default the level from which on it is a warning.
    """

    source: str
    above: Levels = field(default_factory=dict)
    surely_above: Levels = field(default_factory=dict)
    surely_below: Levels = field(default_factory=dict)
    surely_off: Levels = field(default_factory=dict)
    middle: float = 0.5
    threshold: float | None = None

    def severity(self, number: Interval) -> Severity:
        """Return the worst severity that the number reaches; `ok` for none, and for NaN."""
        # Comparisons with NaN are false: what was not measured reaches no level.
        off = number.distance(self.middle)
        return worst_of(
            *(severity for level, severity in self.above.items() if number.estimate > level),
            *(severity for level, severity in self.surely_above.items() if number.low > level),
            *(severity for level, severity in self.surely_below.items() if number.high < level),
            *(severity for level, severity in self.surely_off.items() if off > level),
        )

    def held_against(self, number: Interval) -> Threshold:
        """Return the threshold that a report shows beside this number."""
        if self.threshold is not None:
            return Threshold(self.threshold, self.source)
        sides = (self.above, self.surely_above, self.surely_below)
        levels = [(level, severity) for side in sides for level, severity in side.items()]
        sign = 1 if number.estimate >= self.middle else -1
        levels += [
            (self.middle + sign * level, severity) for level, severity in self.surely_off.items()
        ]
        # One level is shown: that from which on something ought to be done.
        value = next((level for level, severity in levels if severity == "warning"), levels[0][0])
        return Threshold(value, self.source)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found; the registry adds what the check's declaration says.

    Args:
        quantity: what the number is, such as "rows that repeat an earlier one".
        number: the summary number with its interval; NaN where nothing was measured.
        says: what was found and what it means, in plain words.
        mend: what to do about it; left out of the finding where it is not raised.
        unit: of the number: `share` (in [0, 1], shown in percent), `nats`, `rows`, `number`, ...
        severity: where a rule of the check's own decides and not the scale.
        scale: where levels depend on options or data; the check's own otherwise.
        rows: the rows behind it, the worst first; the registry lists as many as were asked for.
        row_unit: unit of the rows' numbers.
        concerned: rows it concerns in all, where those are not `rows`.
        drop: rows that `--filter` leaves out; None for what was read nowhere.
        measures: further numbers by name, in `unit`; as (number, unit) where theirs is another.
        charts: what to draw.
    """

    quantity: str
    number: Interval
    says: str
    mend: str = ""
    unit: str = "number"
    severity: Severity | None = None
    scale: Scale | None = None
    rows: Sequence[FindingRow] | Iterable[FindingRow] = ()
    row_unit: str = "number"
    concerned: int | None = None
    drop: Iterable[Origin | None] = ()
    measures: Mapping[str, Interval | tuple[Interval, str]] = field(default_factory=dict)
    charts: Sequence[Chart] = ()


def reaches(severity: Severity, level: Severity) -> bool:
    """Tell whether `severity` is `level` or worse."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(level)


def worst_of(*severities: Severity) -> Severity:
    """Return the worst of some severities, `ok` of none."""
    return max(severities, key=SEVERITIES.index, default="ok")


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the worst severity of findings, `ok` of none."""
    return worst_of(*(finding.severity for finding in findings))
