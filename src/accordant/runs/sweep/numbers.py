"""What a run of a sweep hands over: numbers that runs are compared by, written by its process.

Knows the results of a run and JSON. Knows nothing of other runs, nor of processes. Runs of a sweep
answer the same prompts and are measured on the same held-out records, so their numbers can be
compared prompt by prompt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from accordant.reports.writing import to_json
from accordant.runs.align.results import OUTCOME_WORTH, AlignResults, WinRate
from accordant.statistics.estimates import bootstrap_mean
from accordant.statistics.interval import Interval
from accordant.statistics.measures import HeldOut, LogpChange, Measure
from accordant.statistics.wording import ends, number, percent

NOTHING = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True, slots=True)
class RunMeasure:
    """A number every run of a sweep has.

    Args:
        name: its key in JSON and, with `_low` and `_high`, its columns in CSV.
        label: heading of its column.
        unit: how it is shown.
        better: 1 where higher is better, -1 where lower is, 0 where that depends.
    """

    name: str
    label: str
    unit: Literal["share", "number"]
    better: int = 0

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


@dataclass(frozen=True, slots=True)
class RunNumbers:
    """The numbers of a run that has ended.

    Args:
        verdict: of its report.
        seconds: wall time of its training.
        measures: numbers by the name of a `RunMeasure`; only what was measured.
        units: single values behind some of them, in the order of prompts or held-out records.
        start_length: tokens per answer before training; None where none were given.
        judge: who compared answers; empty where none were.
        groups: names of wanted and unwanted completions by the measure of their movement.
    """

    verdict: str
    seconds: float
    measures: Mapping[str, Interval]
    units: Mapping[str, tuple[float, ...]]
    start_length: Interval | None = None
    judge: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return strict JSON, which `from_text` reads back to the last bit."""
        return to_json({each.name: getattr(self, each.name) for each in fields(self)})

    @classmethod
    def from_text(cls, text: str) -> RunNumbers:
        """Read what `to_text` wrote."""
        written = json.loads(text)
        start = written["start_length"]
        return cls(
            verdict=written["verdict"],
            seconds=_float(written["seconds"]),
            measures={name: _interval(value) for name, value in written["measures"].items()},
            units={name: tuple(values) for name, values in written["units"].items()},
            start_length=None if start is None else _interval(start),
            judge=written["judge"],
            groups=written["groups"],
        )


def run_numbers(results: AlignResults, verdict: str) -> RunNumbers:
    """Take from a run's results what runs of a sweep are compared by."""
    rate = results.win_rates[0] if results.win_rates else None
    start = _lengths(rate, "before")
    return RunNumbers(
        verdict=verdict,
        seconds=results.environment.seconds,
        measures={
            name: value
            for name, value in _measures(results, rate).items()
            if value is not None and math.isfinite(value.estimate)
        },
        units={name: values for name, values in _units(results, rate).items() if values},
        start_length=bootstrap_mean(start) if start else None,
        judge=rate.judge if rate else "",
        groups={
            measure.name: change.name
            for measure, change in (
                (WANTED, _movement(results.held_out, wanted=True)),
                (UNWANTED, _movement(results.held_out, wanted=False)),
            )
            if change is not None
        },
    )


def _measures(results: AlignResults, rate: WinRate | None) -> dict[str, Interval | None]:
    held_out = results.held_out
    lengths = _lengths(rate, "after")
    accuracy = _accuracy(held_out)
    change = held_out.measure("nll_change") if held_out else None
    wanted, unwanted = (_movement(held_out, wanted=each) for each in (True, False))
    return {
        WIN_RATE.name: rate.rate if rate else None,
        KL.name: results.kl.per_sequence if results.kl else None,
        LENGTH.name: bootstrap_mean(lengths) if lengths else None,
        WANTED.name: wanted.change if wanted else None,
        UNWANTED.name: unwanted.change if unwanted else None,
        ACCURACY.name: accuracy.number if accuracy else None,
        NLL.name: change.number if change else None,
    }


def _units(results: AlignResults, rate: WinRate | None) -> dict[str, tuple[float, ...]]:
    accuracy = _accuracy(results.held_out)
    return {
        WIN_RATE.name: tuple(OUTCOME_WORTH[pair.outcome] for pair in rate.rows) if rate else (),
        LENGTH.name: _lengths(rate, "after"),
        ACCURACY.name: accuracy.values if accuracy else (),
    }


def _accuracy(held_out: HeldOut | None) -> Measure | None:
    """The first share among the key figures, whatever the kind of feedback calls it."""
    measures = held_out.measures if held_out else ()
    return next((m for m in measures if m.unit == "share" and m.figure is not None), None)


def _movement(held_out: HeldOut | None, *, wanted: bool) -> LogpChange | None:
    changes = held_out.changes if held_out else ()
    return next((change for change in changes if change.wanted == wanted), None)


def _lengths(rate: WinRate | None, when: Literal["before", "after"]) -> tuple[float, ...]:
    """Tokens of the answers; none where one is unknown."""
    tokens = [getattr(pair, when).tokens for pair in rate.rows] if rate else []
    return () if None in tokens else tuple(map(float, tokens))


def _interval(written: Mapping[str, Any]) -> Interval:
    estimate, low, high = (_float(written[name]) for name in ("estimate", "low", "high"))
    return Interval(estimate, low, high, int(written["count"]), float(written["level"]))


def _float(value: float | None) -> float:
    """A number of JSON, where what is not finite is null."""
    return math.nan if value is None else float(value)
