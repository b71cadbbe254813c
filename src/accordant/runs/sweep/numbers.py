"""What a run of a sweep hands over: numbers that runs are compared by, written by its process.

Knows the results of a run and JSON. Knows nothing of other runs, nor of processes. Runs of a sweep
answer the same prompts and are measured on the same held-out records, so their numbers can be
compared prompt by prompt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import ConfigDict, TypeAdapter

from accordant.reports.report import ComparedAnswer
from accordant.runs.align.results import OUTCOME_WORTH, AlignResults
from accordant.statistics.estimates import bootstrap_mean
from accordant.statistics.interval import Interval
from accordant.statistics.wording import ends, number, percent

NOTHING = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True, slots=True)
class RunMeasure:
    """A number every run of a sweep has."""

    name: str  # its key in JSON and, with `_low` and `_high`, its columns in CSV
    label: str  # heading of its column
    unit: Literal["share", "number"]  # how it is shown
    better: int = 0  # 1 where higher is better, -1 where lower is, 0 where that depends

    def words(self, value: Interval) -> tuple[str, str]:
        """Return a number and its interval in words; each is empty where it is unknown."""
        if math.isnan(value.estimate):
            return "", ""
        text = percent(value.estimate) if self.unit == "share" else number(value.estimate)
        return text, ends(value, self.unit)

    def text(self, value: Interval) -> str:
        """Write a number with its interval: `62 % (50 to 74)`; empty where it is unknown."""
        text, written = self.words(value)
        return f"{text} ({written})" if written else text


WIN_RATE = RunMeasure("win_rate", "win rate", "share", 1)
ACCURACY = RunMeasure("accuracy", "held-out accuracy", "share", 1)
NLL = RunMeasure("nll_change", "held-out nats per token, change", "number", -1)
KL = RunMeasure("kl", "KL, nats", "number")
LENGTH = RunMeasure("length", "tokens per answer", "number")
WANTED = RunMeasure("wanted_logp_change", "wanted answers, log-prob change", "number")
UNWANTED = RunMeasure("unwanted_logp_change", "unwanted answers, log-prob change", "number")
MEASURES = (WIN_RATE, KL, LENGTH, WANTED, UNWANTED, ACCURACY, NLL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNumbers:
    """What a run leaves for the comparison."""

    # JSON knows no NaN: pydantic writes and reads it as a constant, so no bit is lost.
    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants")

    message: str  # the verdict of its report; of a run that failed, why it did
    # numbers by the name of a `RunMeasure`; only what was measured
    measures: Mapping[str, Interval] = field(default_factory=dict)
    # single values behind some of them, in the order of prompts or held-out records
    units: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    seconds: float = math.nan  # wall time of its training
    # tokens per answer before training; None where none were given
    start_length: Interval | None = None
    judge: str = ""  # who compared answers; empty where none were
    # names of wanted and unwanted completions by the measure of their movement
    groups: Mapping[str, str] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return JSON that `from_text` reads back to the last bit, NaN included."""
        return TypeAdapter(RunNumbers).dump_json(self).decode()

    @classmethod
    def from_text(cls, text: str) -> RunNumbers:
        """Read what `to_text` wrote."""
        return TypeAdapter(RunNumbers).validate_json(text)


def run_numbers(results: AlignResults, verdict: str) -> RunNumbers:
    """Take from a run's results what runs of a sweep are compared by."""
    rate = results.win_rates[0] if results.win_rates else None
    rows = rate.rows if rate else ()
    before, after = (_lengths(getattr(row, when) for row in rows) for when in ("before", "after"))
    measures = results.held_out.measures if results.held_out else ()
    changes = results.held_out.changes if results.held_out else ()
    groups = {
        measure: next((c for c in changes if c.wanted == wanted), None)
        for measure, wanted in ((WANTED, True), (UNWANTED, False))
    }
    # The first share among the key figures, whatever the kind of feedback calls it.
    accuracy = next((m for m in measures if m.unit == "share" and m.figure is not None), None)
    numbers: dict[RunMeasure, Interval | None] = {
        WIN_RATE: rate.rate if rate else None,
        KL: results.kl.per_sequence if results.kl else None,
        LENGTH: bootstrap_mean(after) if after else None,
        **{measure: group.change for measure, group in groups.items() if group},
        ACCURACY: accuracy.number if accuracy else None,
        NLL: next((m.number for m in measures if m.name == NLL.name), None),
    }
    units = {
        WIN_RATE: tuple(OUTCOME_WORTH[row.outcome] for row in rows),
        LENGTH: after,
        ACCURACY: accuracy.values if accuracy else (),
    }
    return RunNumbers(
        message=verdict,
        measures={
            measure.name: value
            for measure, value in numbers.items()
            if value is not None and math.isfinite(value.estimate)
        },
        units={measure.name: values for measure, values in units.items() if values},
        seconds=results.environment.seconds,
        start_length=bootstrap_mean(before) if before else None,
        judge=rate.judge if rate else "",
        groups={measure.name: group.name for measure, group in groups.items() if group},
    )


def _lengths(answers: Iterable[ComparedAnswer]) -> tuple[float, ...]:
    """Return tokens of the answers; none where one is unknown."""
    tokens = [answer.tokens for answer in answers]
    return tuple(float(count) for count in tokens if count is not None and None not in tokens)
