"""The report of an align run: which figures, tables and plots show what it measured.

Knows the results of a run and the parts of a report. Knows nothing of models or training. The
wording never claims what an interval does not carry: one that holds the value of "nothing
happened" is reported so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from accordant.reports.report import (
    Answers,
    Cell,
    Facts,
    Figures,
    Findings,
    Plots,
    Prose,
    Report,
    Section,
    Table,
    columns,
)
from accordant.reports.writing import to_plain
from accordant.runs.align.charts import (
    further_charts,
    kl_chart,
    length_charts,
    training_charts,
    win_rate_chart,
)
from accordant.runs.align.results import (
    SCHEMA_VERSION,
    AlignResults,
    DataSummary,
    Environment,
    KlEstimate,
    WinRate,
)
from accordant.statistics.interval import Interval
from accordant.statistics.measures import HeldOut, KeyFigure, Tone, key_figure, movement_figure
from accordant.statistics.wording import ends, in_brackets, number, percent

_ENDS = "#95 % interval"


def align_report(results: AlignResults) -> Report:
    """Build the report of a run from what it measured."""
    figures = key_figures(results)
    environment = results.environment
    held_out = f"{results.data.held_out:,} {results.data.record_type} records"
    sections = (
        Section(
            "findings",
            "Findings",
            (Findings(results.findings, least="warning"),) if results.findings else (),
            "What the checks of this run noticed, each number against its threshold.",
        ),
        _held_out_section(results.held_out),
        _training_section(results),
        _answers_section(results.win_rates),
        _kl_section(results.kl),
        _data_section(results.data),
        _run_section(results),
    )
    return Report(
        title=results.title,
        verdict=verdict_of(figures),
        sections=sections,
        name="report",
        kind="run report",
        tone=_tone(figures),
        facts=(
            ("method", results.method),
            ("model", results.model),
            ("trained on", f"{results.data.train:,}"),
            ("held out", held_out),
            *([("made", environment.created)] if environment.created else ()),
        ),
        head=(Figures(figures),) if figures else (),
        record=results,
        schema=SCHEMA_VERSION,
    )


def verdict_of(figures: tuple[KeyFigure, ...]) -> str:
    """Return the verdict of a run in one line, from the numbers that were measured."""
    clauses = [figure.clause for figure in figures if figure.clause]
    if not clauses:
        return "Nothing was measured on held-out records, so this run shows no improvement."
    # The level is said once; it is the same for all.
    later = [clause.replace("95 % interval ", "") for clause in clauses[1:]]
    sentence = "; ".join([clauses[0], *later])
    judged = [f.improves for f in figures if f.clause and f.improves is not None]
    if judged and not any(judged):
        return f"No measurable improvement: {sentence}."
    return f"{sentence[0].upper()}{sentence[1:]}."


def key_figures(results: AlignResults) -> tuple[KeyFigure, ...]:
    """Return the numbers to look at first: held-out, win rates, log-probabilities, divergence."""
    measures = results.held_out.measures if results.held_out else ()
    changes = results.held_out.changes if results.held_out else ()
    wins = [_win_figure(rate) for rate in results.win_rates]
    return (
        *(measure.figure for measure in measures if measure.figure is not None),
        *wins[:1],
        # Further judges inform; the verdict rests on the one that was chosen.
        *(replace(figure, clause="") for figure in wins[1:]),
        *(movement_figure(change) for change in changes if change.in_figures),
        *([_kl_figure(results.kl)] if results.kl is not None else ()),
    )


def _tone(figures: tuple[KeyFigure, ...]) -> Tone:
    """Good when all that the verdict weighs improved, bad when none did and some got worse."""
    judged = [f for f in figures if f.clause and f.improves is not None]
    if judged and all(figure.improves for figure in judged):
        return "good"
    worse = any(figure.tone == "bad" for figure in judged)
    return "bad" if worse and not any(figure.improves for figure in judged) else "neutral"


def _win_figure(rate: WinRate) -> KeyFigure:
    value = percent(rate.rate.estimate, rate.rate.count)
    changed = any(pair.changed for pair in rate.rows) or not rate.rows
    figure = key_figure(
        f"win rate by {rate.judge}",
        rate.rate,
        "share",
        {
            "good": "preferred over the start",
            "bad": "worse than the start",
            "neutral": "no measurable difference from the start"
            if changed
            else "no answer changed",
        },
        neutral=0.5,
        clause=f"win rate {value}{in_brackets(rate.rate, 'share')} against the start by "
        f"{rate.judge}",
    )
    counts = f"{rate.wins} won, {rate.ties} tied, {rate.losses} lost"
    return replace(figure, reading=f"{figure.reading} ({counts})")


def _kl_figure(kl: KlEstimate) -> KeyFigure:
    return KeyFigure(
        label="KL from the reference",
        value=f"{number(kl.per_sequence.estimate)} nats",
        interval=ends(kl.per_sequence, "nats"),
        reading=f"per sequence; {number(kl.per_token.estimate)} nats per token",
    )


def _cells(interval: Interval, unit: str = "number") -> tuple[str, str]:
    """Return an estimate and its interval as cells."""
    share = unit == "share"
    value = percent(interval.estimate, interval.count) if share else number(interval.estimate)
    return value, ends(interval, unit)


def _held_out_section(held_out: HeldOut | None) -> Section:
    name = "Held-out results"
    if held_out is None:
        return Section("held-out", name, ())
    measures = Table(
        "Held-out measures",
        columns("measure", "#estimate", _ENDS),
        tuple(
            (
                (m.label or m.name) + ("" if m.unit in ("share", "number") else f", {m.unit}"),
                *_cells(m.number, m.unit),
            )
            for m in held_out.measures
        ),
    )
    changes = Table(
        "Changes of log-probabilities",
        columns(
            *("completions", "#start, nats", "#end, nats", "#change", _ENDS),
            *("#per token", _ENDS, "#share that fell", _ENDS),
        ),
        tuple(
            (
                *(c.name, number(c.before), number(c.after)),
                *_cells(c.change),
                *_cells(c.change_per_token),
                *_cells(c.fell, "share"),
            )
            for c in held_out.changes
        ),
        title="Did the log-probabilities fall?",
    )
    charts = {f"held-out-{place}": chart for place, chart in enumerate(held_out.charts, 1)}
    lead = f"Measured on {held_out.count:,} records that the model was not trained on."
    plots = (Plots(charts),) if charts else ()
    tables = (measures, changes) if held_out.changes else (measures,)
    return Section("held-out", name, (*plots, *tables), lead)


def _training_section(results: AlignResults) -> Section:
    charts, further = training_charts(results), further_charts(results.curves)
    wide = {name: chart for name, chart in charts.items() if chart.wide}
    small = {name: chart for name, chart in charts.items() if not chart.wide}
    parts = (
        Plots(wide),
        Plots(small, few=True),
        Plots(further, folded=f"Further metrics ({len(further)})"),
    )
    return Section(
        "training",
        "Training",
        tuple(part for part in parts if part.charts),
        "Faint lines are training batches, solid lines with dots are held-out records.",
    )


def _answers_section(rates: tuple[WinRate, ...]) -> Section:
    if not rates:
        return Section("answers", "Answers", ())
    table = Table(
        "Win rates",
        columns(
            *("judge", "#win rate", _ENDS, "#won / tied / lost", "#sign test p"),
            *("#mean score before → after", "#ended cleanly before → after"),
        ),
        tuple(map(_win_row, rates)),
    )
    return Section(
        "answers",
        "Answers",
        (
            Plots({"win-rate": win_rate_chart(rates)}),
            table,
            *([Answers(rates[0].judge, rates[0].rows)] if rates[0].rows else ()),
        ),
        f"Both models answered the same {rates[0].rate.count} prompts; a judge scored each answer "
        "and the higher score wins.",
        title="Answers before and after",
    )


def _win_row(rate: WinRate) -> tuple[Cell | str, ...]:
    scores = (rate.score_before.estimate, rate.score_after.estimate)
    finished = (rate.share_finished_before.estimate, rate.share_finished_after.estimate)
    return (
        Cell(rate.judge, (rate.description,)),
        *_cells(rate.rate, "share"),
        f"{rate.wins} / {rate.ties} / {rate.losses}",
        "< 0.0001" if rate.p_value < 0.0001 else f"{rate.p_value:.2g}",
        " → ".join(map(number, scores)),
        " → ".join(map(percent, finished)),
    )


def _kl_section(kl: KlEstimate | None) -> Section:
    name = "Distance from the reference"
    if kl is None:
        return Section("kl", name, ())
    rows = (
        ("per sequence, mean log-ratio", kl.per_sequence),
        ("per sequence, low variance (k3)", kl.k3_per_sequence),
        ("per token, mean log-ratio", kl.per_token),
        ("per token, low variance (k3)", kl.k3_per_token),
    )
    table = Table(
        "KL estimates",
        columns("estimator, nats", "#estimate", _ENDS),
        tuple((label, *_cells(interval)) for label, interval in rows),
        wide=False,
    )
    plots = (Plots({"kl": kl_chart(kl)}),) if kl.log_ratios.values else ()
    return Section(
        "kl",
        name,
        (*plots, table),
        f"KL divergence estimated on {kl.sequences} answers ({kl.tokens:,} tokens) sampled from "
        "the trained model. Zero means the model has not moved.",
    )


def _data_section(data: DataSummary) -> Section:
    left_out: list[tuple[Cell | str, ...]] = [
        (Cell(f"{one.action}: {one.reason}", one.examples), f"{one.count:,}")
        for one in data.exclusions
    ]
    counts = Table(
        "Counts",
        columns("", "#"),
        (
            ("rows read", f"{data.read:,}"),
            ("trained on", f"{data.train:,}"),
            ("held out", f"{data.held_out:,}"),
            *(left_out or [("skipped, dropped or truncated", "0")]),
        ),
        wide=False,
    )
    lengths = Table(
        "Lengths in tokens",
        columns("tokens", "#median", "#95th pct.", "#longest", "#total"),
        tuple(
            (
                *(part.name, number(part.median), number(part.percentile_95)),
                *(f"{part.longest:,}", f"{part.total:,}"),
            )
            for part in data.lengths
        ),
        wide=False,
    )
    charts = length_charts(data)
    plots = (Plots(charts),) if charts else ()
    tables = (counts, lengths) if data.lengths else (counts,)
    lead = f"{data.read:,} rows read from {', '.join(data.sources)}."
    return Section("data", "Data", (*plots, *tables), lead)


def _run_section(results: AlignResults) -> Section:
    command = results.environment.command
    parts = (
        Facts("Environment", tuple(_environment_rows(results.environment))),
        Facts("Configuration", tuple(flatten(to_plain(results.configuration))), code=True),
        *([Prose("Command", (command,), code=True)] if command else ()),
    )
    return Section("run", "Run", parts)


def _environment_rows(environment: Environment) -> Iterator[tuple[str, str]]:
    yield "hardware", environment.hardware
    if environment.precision:
        yield "precision", environment.precision
    if not math.isnan(environment.seconds):
        yield "training time", _duration(environment.seconds)
    if not math.isnan(environment.tokens_per_second):
        yield "speed", f"{number(environment.tokens_per_second)} tokens/s"
    if environment.peak_memory_bytes is not None:
        yield "peak memory", f"{environment.peak_memory_bytes / 1e9:.1f} GB"
    yield from environment.versions.items()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest} s"


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested options as (dotted name, value) rows."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flatten(inner, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
