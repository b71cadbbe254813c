"""What was measured, as data: a number with its name, its unit and what it says.

Knows numbers and words. Knows nothing of how they were measured, nor of pages. Whoever adds a kind
of record lists its measures; reports, sweeps and JSON show whatever is listed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from accordant.statistics.charts import Chart
from accordant.statistics.interval import Interval
from accordant.statistics.wording import ends, in_brackets, number, percent

Tone = Literal["good", "bad", "neutral"]


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One number a reader looks for first.

    Args:
        label: what it is.
        value: the estimate, formatted.
        interval: its confidence interval in words; empty when there is none.
        reading: what it means, without a full stop.
        clause: number and meaning as part of the one-line verdict; empty when it is left out there.
        tone: whether that is good news.
        improves: True when the number shows an improvement that its interval carries; None for
            numbers that are neither.
        bar: the interval when it is a share in [0, 1] that can be drawn; None otherwise.
    """

    label: str
    value: str
    interval: str
    reading: str
    clause: str = ""
    tone: Tone = "neutral"
    improves: bool | None = None
    bar: Interval | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that was measured.

    Args:
        name: what it is; its key in JSON.
        number: the estimate with its interval.
        unit: `share` (in [0, 1], shown in percent), `nats`, `rows`, `number`, ...
        label: what a table calls it; empty where that is its name.
        values: single values that the number is the mean of, one a record, in their order; empty
            where they are not kept.
        figure: what it says among the key figures; None where it stands in tables alone.
    """

    name: str
    number: Interval
    unit: str = "number"
    label: str = ""
    values: tuple[float, ...] = ()
    figure: KeyFigure | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what reports write of it."""
        return {"name": self.name, "number": self.number, "unit": self.unit}


@dataclass(frozen=True, slots=True)
class LogpChange:
    """How the log-probability of one group of completions moved from the start to the end.

    Args:
        name: the group: `chosen`, `rejected`, `desirable`, `best`, ...
        before: mean log-probability per sequence at the start, nats.
        after: the same at the end.
        change: mean change per sequence, nats; negative means that it fell.
        change_per_token: mean over sequences of the change per token, nats.
        fell: share of sequences whose log-probability fell, unchanged ones count half, in [0, 1].
        wanted: whether people prefer these completions.
        in_figures: whether it stands among the key figures.
    """

    name: str
    before: float
    after: float
    change: Interval
    change_per_token: Interval
    fell: Interval
    wanted: bool = True
    in_figures: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return what reports write of it."""
        shown = ("name", "before", "after", "change", "change_per_token", "fell")
        return {name: getattr(self, name) for name in shown}


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What was measured on held-out records of one kind.

    Args:
        kind: of the records, as they were measured.
        count: records.
        facts: further counts and settings by name: `beta`, `pairs`, `tokens`; None for a group of
            completions that has no members.
        measures: the numbers, those to look at first in front.
        changes: how the log-probabilities of groups of completions moved.
        charts: what to draw.
    """

    kind: str
    count: int
    facts: Mapping[str, float | None]
    measures: tuple[Measure, ...]
    changes: tuple[LogpChange, ...]
    charts: tuple[Chart, ...] = ()

    def number(self, name: str) -> Interval:
        """Return the number of a measure; KeyError where it was not taken."""
        return {measure.name: measure.number for measure in self.measures}[name]

    def change(self, name: str) -> LogpChange:
        """Return the movement of a group of completions; KeyError where it has no members."""
        return {change.name: change for change in self.changes}[name]

    def to_json(self) -> dict[str, Any]:
        """Return what reports write of it: every number under its own name."""
        # A share is known from its mean and count; other means go with what they are means of.
        numbers = {
            m.name: {"name": m.label, "values": m.values, "mean": m.number}
            if m.values and m.unit != "share"
            else m.number
            for m in self.measures
        }
        changes = {change.name: change for change in self.changes}
        return {"kind": self.kind, "count": self.count, **self.facts, **numbers, **changes}


def tone_of(interval: Interval, neutral: float) -> tuple[Tone, bool]:
    """Return tone and improvement of a number that is better the higher it is above `neutral`.

    An estimate alone is no improvement: the whole interval must lie above.
    """
    if not interval.excludes(neutral):
        return "neutral", False
    return ("good", True) if interval.estimate > neutral else ("bad", False)


def key_figure(
    label: str,
    interval: Interval,
    unit: str,
    readings: dict[Tone, str],
    *,
    neutral: float = 0.0,
    clause: str = "",
) -> KeyFigure:
    """Make the key figure of a number that is better the higher it is above `neutral`.

    Args:
        label: what it is.
        interval: the number.
        unit: its unit.
        readings: what it means where it is better, worse, or neither.
        neutral: the value of "nothing happened".
        clause: beginning of its clause in the verdict; a reading that is not good is added to it.
    """
    tone, improves = tone_of(interval, neutral)
    reading = readings[tone]
    # A good number speaks for itself; one that is not must not be read as if it were.
    if clause and tone != "good":
        clause += f", {reading}"
    is_share = unit == "share"
    return KeyFigure(
        label,
        percent(interval.estimate, interval.count) if is_share else number(interval.estimate),
        ends(interval, unit),
        reading,
        clause,
        tone,
        improves,
        interval if is_share and not math.isnan(interval.low) else None,
    )


def chance_figure(
    label: str, interval: Interval, chance: float = 0.5, *, in_verdict: bool = True
) -> KeyFigure:
    """Make the key figure of a share in [0, 1] that guessing would put at `chance`."""
    if math.isnan(interval.estimate):
        return KeyFigure(label, "unknown", "", "nothing to measure it on")
    value = percent(interval.estimate, interval.count)
    against = f"chance ({percent(chance)})"
    return key_figure(
        label,
        interval,
        "share",
        {
            "good": f"better than {against}",
            "bad": f"worse than {against}",
            "neutral": f"not distinguishable from {against}",
        },
        neutral=chance,
        clause=f"{label} {value}{in_brackets(interval, 'share')}" if in_verdict else "",
    )


def movement_figure(change: LogpChange) -> KeyFigure:
    """Make the key figure of a log-probability's movement; only wanted answers must not fall."""
    moved = change.change
    size, old = number(abs(moved.estimate)), number(change.before)
    if not moved.excludes(0.0):
        verb, by = "did not measurably move", ""
        reading = f"{verb} ({old} nats per sequence at the start)"
    else:
        verb, by = ("fell" if moved.estimate < 0 else "rose"), f" by {size} nats"
        reading = f"{verb} from {old} to {number(change.after)} nats per sequence"
    return KeyFigure(
        label=f"{change.name} log-prob, change",
        value=f"{number(moved.estimate, '+')} nats",
        interval=ends(moved, "nats"),
        reading=reading,
        clause=f"{change.name} log-prob {verb}{by}" if change.wanted else "",
        tone="bad" if change.wanted and verb == "fell" else "neutral",
    )
