"""What a report says in words: the key figures, the one-line verdict, the table in a terminal.

Knows the records of a report. Knows nothing of HTML or plots. The wording never claims what an
interval does not carry: an interval that holds the value of "nothing happened" is reported so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accordant.reports.results import KlEstimate, RunReport, WinRate
from accordant.statistics.measures import KeyFigure, key_figure, movement_figure
from accordant.statistics.wording import ends, in_brackets, number, percent

if TYPE_CHECKING:
    from rich.console import Console


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
    measures = report.held_out.measures if report.held_out else ()
    changes = report.held_out.changes if report.held_out else ()
    figures = [measure.figure for measure in measures if measure.figure is not None]
    for index, rate in enumerate(report.win_rates):
        figures.append(_win(rate) if index == 0 else replace(_win(rate), clause=""))
    figures += [movement_figure(change) for change in changes if change.in_figures]
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


def _win(rate: WinRate) -> KeyFigure:
    value = percent(rate.rate.estimate, rate.rate.count)
    figure = key_figure(
        f"win rate by {rate.judge}",
        rate.rate,
        "share",
        {
            "good": "preferred over the start",
            "bad": "worse than the start",
            "neutral": "no measurable difference from the start"
            if any(row.changed for row in rate.rows) or not rate.rows
            else "no answer changed",
        },
        neutral=0.5,
        clause=f"win rate {value}{in_brackets(rate.rate, 'share')} against the start by "
        f"{rate.judge}",
    )
    counts = f"{rate.wins} won, {rate.ties} tied, {rate.losses} lost"
    return replace(figure, reading=f"{figure.reading} ({counts})")


def _divergence(kl: KlEstimate) -> KeyFigure:
    return KeyFigure(
        label="KL from the reference",
        value=f"{number(kl.per_sequence.estimate)} nats",
        interval=ends(kl.per_sequence, "nats"),
        reading=f"per sequence; {number(kl.per_token.estimate)} nats per token",
    )
