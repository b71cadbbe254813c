"""What a check returns, and how its number becomes a severity.

Knows intervals and parts of findings. Knows no check, models or feedback: the registry turns an
outcome into a `Finding` by adding what the check's declaration says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from accordant.checks.findings import Chart, FindingRow, Measure, Severity, Threshold, worst_of
from accordant.feedback.records import Origin
from accordant.statistics.interval import Interval

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
        off = max(number.low - self.middle, self.middle - number.high)
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
        measures: further numbers.
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
    measures: Sequence[Measure] = ()
    charts: Sequence[Chart] = ()
