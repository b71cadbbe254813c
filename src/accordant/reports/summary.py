"""What a report says in words: the key figures, the one-line verdict, the table in a terminal.

Knows the records of a report. Knows nothing of HTML or plots. The wording never claims what an
interval does not carry: an interval that holds the value of "nothing happened" is reported so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from accordant.reports.results import (
    BinaryResults,
    ComparisonResults,
    DemonstrationResults,
    KlEstimate,
    LogpChange,
    RankingResults,
    RunReport,
    WinRate,
)
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from rich.console import Console

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
    clause: str
    tone: Tone
    improves: bool | None = None
    bar: Interval | None = None


def one_line(report: RunReport) -> str:
    """The verdict of a run in one line, from the numbers that were measured."""
    figures = [figure for figure in key_figures(report) if figure.clause]
    if not figures:
        return "Nothing was measured on held-out records, so this run shows no improvement."
    first, *rest = (figure.clause for figure in figures)
    # The level is said once; it is the same for all.
    sentence = "; ".join([first, *(clause.replace("95 % interval ", "") for clause in rest)])
    judged = [figure.improves for figure in figures if figure.improves is not None]
    if judged and not any(judged):
        return f"No measurable improvement: {sentence}."
    return f"{sentence[0].upper()}{sentence[1:]}."


def key_figures(report: RunReport) -> tuple[KeyFigure, ...]:
    """The numbers to look at first: held-out results, win rates, log-probabilities, KL."""
    held_out = report.held_out
    figures: list[KeyFigure] = []
    moved: list[LogpChange | None] = []
    match held_out:
        case ComparisonResults():
            figures.append(_share("held-out reward accuracy", held_out.accuracy, 0.5))
            moved = [held_out.chosen, held_out.rejected]
        case BinaryResults():
            figures.append(_share("held-out accuracy", held_out.accuracy, 0.5))
            figures.append(replace(_share("held-out AUC", held_out.auc, 0.5), clause=""))
            moved = [held_out.desirable, held_out.undesirable]
        case RankingResults():
            figures.append(_share("held-out pair accuracy", held_out.pair_accuracy, 0.5))
            figures.append(_correlation(held_out.kendall_tau))
            moved = [held_out.best, held_out.others]
        case DemonstrationResults():
            figures.append(_perplexity(held_out))
    for index, rate in enumerate(report.win_rates):
        figures.append(_win(rate) if index == 0 else replace(_win(rate), clause=""))
    figures.extend(
        _movement(change, wanted=index == 0) for index, change in enumerate(moved) if change
    )
    if report.kl is not None:
        figures.append(_divergence(report.kl))
    return tuple(figures)


def print_summary(report: RunReport, console: Console) -> None:
    """Print the key figures as a compact table, the warnings, and the verdict."""
    from rich.markup import escape
    from rich.table import Table

    styles = {"good": "green", "bad": "red", "neutral": ""}
    table = Table(title=escape(report.title), title_justify="left", header_style="bold")
    table.add_column("measure")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    table.add_column("reading")
    for figure in key_figures(report):
        style = styles[figure.tone]
        table.add_row(
            escape(figure.label), figure.value, figure.interval, escape(figure.reading), style=style
        )
    console.print(table)
    for finding in report.findings:
        if finding.severity in ("warning", "serious"):
            mend = f" {finding.mend}" if finding.mend else ""
            console.print(f"[yellow]{finding.severity}[/]: {escape(finding.sentence + mend)}")
    console.print(escape(one_line(report)), style="bold", highlight=False)


def percent(share: float, count: int = 0) -> str:
    """`81 %`; with a decimal when it rests on a thousand units or more."""
    return "unknown" if math.isnan(share) else f"{100 * share:.{1 if count >= 1000 else 0}f} %"


def number(value: float, sign: str = "") -> str:
    """Three significant digits without an exponent; `sign="+"` writes a plus as well."""
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1e7 or 0 < size < 1e-4:
        return f"{value:{sign}.2e}"
    digits = max(0, 2 - math.floor(math.log10(size)))
    return f"{value:{sign},.{digits}f}"


def spread(interval: Interval, unit: Literal["share", "number"]) -> str:
    """`72 to 88` (shares in percent) or `-4.0 to -2.2`; empty when there is no interval."""
    if math.isnan(interval.low) or math.isnan(interval.high):
        return ""
    if unit == "number":
        return f"{number(interval.low)} to {number(interval.high)}"
    digits = 1 if interval.count >= 1000 else 0
    return f"{100 * interval.low:.{digits}f} to {100 * interval.high:.{digits}f}"


def _brackets(interval: Interval, unit: Literal["share", "number"]) -> str:
    """` (95 % interval 72 to 88, n=80)`."""
    ends = spread(interval, unit)
    between = f"{100 * interval.level:.0f} % interval {ends}, " if ends else ""
    return f" ({between}n={interval.count})"


def _against(interval: Interval, chance: float) -> tuple[Tone, bool]:
    """Tone and improvement of a number that is better the higher it is above `chance`."""
    if not interval.excludes(chance):
        return "neutral", False
    return ("good", True) if interval.estimate > chance else ("bad", False)


def _share(label: str, interval: Interval, chance: float) -> KeyFigure:
    if math.isnan(interval.estimate):
        return KeyFigure(label, "unknown", "", "nothing to measure it on", "", "neutral")
    tone, improves = _against(interval, chance)
    readings = {
        "good": f"better than chance ({percent(chance)})",
        "bad": f"worse than chance ({percent(chance)})",
        "neutral": f"not distinguishable from chance ({percent(chance)})",
    }
    value = percent(interval.estimate, interval.count)
    clause = f"{label} {value}{_brackets(interval, 'share')}"
    if tone != "good":
        clause += f", {readings[tone]}"
    return _figure(label, value, interval, readings[tone], clause, tone, improves, "share")


def _correlation(tau: Interval) -> KeyFigure:
    tone, improves = _against(tau, 0.0)
    reading = {
        "good": "implicit rewards follow the labels",
        "bad": "implicit rewards run against the labels",
        "neutral": "no measurable relation to the labels",
    }[tone]
    label, value = "held-out Kendall tau", number(tau.estimate)
    return _figure(label, value, tau, reading, "", tone, improves, "number")


def _perplexity(results: DemonstrationResults) -> KeyFigure:
    change, old, new = results.nll_change, results.perplexity_before, results.perplexity_after
    flipped = Interval(-change.estimate, -change.high, -change.low, change.count, change.level)
    tone, improves = _against(flipped, 0.0)
    verb = {"good": "fell", "bad": "rose", "neutral": "did not measurably move"}[tone]
    path = f"from {number(old.estimate)} to {number(new.estimate)}"
    clause = f"held-out perplexity {verb} ({path}, n={results.count})"
    if tone != "neutral":
        clause = (
            f"held-out perplexity {verb} {path} ({number(change.estimate, '+')} nats per token, "
            f"95 % interval {spread(change, 'number')}, n={results.count})"
        )
    value, reading = number(new.estimate), f"{verb} {path}"
    return KeyFigure(
        "held-out perplexity", value, spread(new, "number"), reading, clause, tone, improves
    )


def _win(rate: WinRate) -> KeyFigure:
    label = f"win rate by {rate.judge}"
    value = percent(rate.rate.estimate, rate.rate.count)
    tone, improves = _against(rate.rate, 0.5)
    changed = any(row.changed for row in rate.rows) or not rate.rows
    reading = {
        "good": "preferred over the start",
        "bad": "worse than the start",
        "neutral": "no measurable difference from the start",
    }[tone]
    if not changed:
        reading = "no answer changed"
    brackets = _brackets(rate.rate, "share")
    clause = f"win rate {value}{brackets} against the start by {rate.judge}"
    if tone != "good":
        clause += f", {reading}"
    counts = f"{reading} ({rate.wins} won, {rate.ties} tied, {rate.losses} lost)"
    return _figure(label, value, rate.rate, counts, clause, tone, improves, "share")


def _movement(change: LogpChange, *, wanted: bool) -> KeyFigure:
    """The movement of a log-probability; `wanted` completions are those that should not fall."""
    moved = change.change
    if not moved.excludes(0.0):
        verb = "did not measurably move"
    else:
        verb = "fell" if moved.estimate < 0 else "rose"
    size = number(abs(moved.estimate))
    tone: Tone = "bad" if wanted and verb == "fell" else "neutral"
    clause = ""
    if wanted:
        by = f" by {size} nats" if verb != "did not measurably move" else ""
        clause = f"{change.name} log-prob {verb}{by}"
    reading = f"{verb} from {number(change.before)} to {number(change.after)} nats per sequence"
    if verb == "did not measurably move":
        reading = f"{verb} ({number(change.before)} nats per sequence at the start)"
    value = f"{number(moved.estimate, '+')} nats"
    label = f"{change.name} log-prob, change"
    return _figure(label, value, moved, reading, clause, tone, None, "number")


def _divergence(kl: KlEstimate) -> KeyFigure:
    reading = f"per sequence; {number(kl.per_token.estimate)} nats per token"
    value = f"{number(kl.per_sequence.estimate)} nats"
    return _figure(
        "KL from the reference", value, kl.per_sequence, reading, "", "neutral", None, "number"
    )


def _figure(
    label: str,
    value: str,
    interval: Interval,
    reading: str,
    clause: str,
    tone: Tone,
    improves: bool | None,
    unit: Literal["share", "number"],
) -> KeyFigure:
    bar = interval if unit == "share" and not math.isnan(interval.low) else None
    ends = spread(interval, unit)
    return KeyFigure(label, value, ends, reading, clause, tone, improves, bar)
