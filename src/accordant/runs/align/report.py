"""The report of an align run: which figures, tables and plots show what it measured.

Knows the results of a run and the parts of a report. Knows nothing of models or training. The
wording never claims what an interval does not carry: one that holds the value of "nothing
happened" is reported so.
"""

from __future__ import annotations

import math
from dataclasses import replace

from accordant.reports.report import (
    Answers,
    Cell,
    Facts,
    Figures,
    Findings,
    Plots,
    Report,
    Section,
    Table,
    columns,
)
from accordant.reports.writing import to_plain
from accordant.rewards.rules import FORM_ONLY
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
from accordant.runs.report_parts import ENDS, command_part, flatten, known, number_cells, shown
from accordant.statistics.measures import HeldOut, KeyFigure, Tone, key_figure, movement_figure
from accordant.statistics.wording import ends, in_brackets, number, percent


def align_report(results: AlignResults) -> Report:
    """Build the report of a run from what it measured."""
    figures = key_figures(results)
    run = (
        Facts("Environment", _environment_rows(results.environment)),
        Facts("Configuration", flatten(to_plain(results.configuration)), code=True),
        *shown(command_part(results.environment.command)),
    )
    return Report(
        title=results.title,
        verdict=verdict_of(figures),
        sections=(
            Section(
                "findings",
                "Findings",
                shown(Findings(results.findings, least="warning")),
                "What the checks of this run noticed, each number against its threshold.",
            ),
            *(_held_out_section(held_out) for held_out in [results.held_out] if held_out),
            _training_section(results),
            *([_answers_section(results.win_rates)] if results.win_rates else ()),
            *(_kl_section(kl) for kl in [results.kl] if kl),
            _data_section(results.data),
            Section("run", "Run", run),
        ),
        name="report",
        kind="run report",
        tone=_tone(figures),
        facts=known(
            method=results.method,
            model=results.model,
            trained_on=f"{results.data.train:,}",
            held_out=f"{results.data.held_out:,} {results.data.record_type} records",
            made=results.environment.created,
        ),
        head=shown(Figures(figures)),
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
    judged = _judged(figures)
    if judged and not any(figure.improves for figure in judged):
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


def _judged(figures: tuple[KeyFigure, ...]) -> list[KeyFigure]:
    """Return what the verdict weighs: numbers that can be better or worse."""
    return [figure for figure in figures if figure.clause and figure.improves is not None]


def _tone(figures: tuple[KeyFigure, ...]) -> Tone:
    """Return good when all that the verdict weighs improved, bad when none did and some fell."""
    judged = _judged(figures)
    improved = [figure for figure in judged if figure.improves]
    if judged and improved == judged:
        return "good"
    return "bad" if not improved and any(f.tone == "bad" for f in judged) else "neutral"


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
    # Of one rule: among several joined ones others may read more.
    form_only = rate.description.endswith(FORM_ONLY) and " of: " not in rate.description
    warning = f"; {FORM_ONLY}" if form_only else ""
    return replace(figure, reading=f"{figure.reading} ({counts}){warning}")


def _kl_figure(kl: KlEstimate) -> KeyFigure:
    return KeyFigure(
        label="KL from the reference",
        value=f"{number(kl.per_sequence.estimate)} nats",
        interval=ends(kl.per_sequence, "nats"),
        reading=f"per sequence; {number(kl.per_token.estimate)} nats per token",
    )


def _held_out_section(held_out: HeldOut) -> Section:
    measures = tuple(
        (
            (m.label or m.name) + ("" if m.unit in ("share", "number") else f", {m.unit}"),
            *number_cells(m.number, share=m.unit == "share"),
        )
        for m in held_out.measures
    )
    changes = tuple(
        (
            *(c.name, number(c.before), number(c.after)),
            *number_cells(c.change),
            *number_cells(c.change_per_token),
            *number_cells(c.fell, share=True),
        )
        for c in held_out.changes
    )
    headings = columns(
        *("completions", "#start, nats", "#end, nats", "#change", ENDS),
        *("#per token", ENDS, "#share that fell", ENDS),
    )
    parts = (
        Plots({f"held-out-{place}": chart for place, chart in enumerate(held_out.charts, 1)}),
        Table("Held-out measures", columns("measure", "#estimate", ENDS), measures),
        Table(
            *("Changes of log-probabilities", headings, changes),
            title="Did the log-probabilities fall?",
        ),
    )
    lead = f"Measured on {held_out.count:,} records that the model was not trained on."
    return Section("held-out", "Held-out results", shown(*parts), lead)


def _training_section(results: AlignResults) -> Section:
    charts, further = training_charts(results), further_charts(results.curves)
    return Section(
        "training",
        "Training",
        shown(
            Plots({name: chart for name, chart in charts.items() if chart.wide}),
            Plots({name: chart for name, chart in charts.items() if not chart.wide}, few=True),
            Plots(further, folded=f"Further metrics ({len(further)})"),
        ),
        "Faint lines are training batches, solid lines with dots are held-out records.",
    )


def _answers_section(rates: tuple[WinRate, ...]) -> Section:
    headings = columns(
        *("judge", "#win rate", ENDS, "#won / tied / lost", "#sign test p"),
        *("#mean score before → after", "#ended cleanly before → after"),
    )
    return Section(
        "answers",
        "Answers",
        shown(
            Plots({"win-rate": win_rate_chart(rates)}),
            Table("Win rates", headings, tuple(map(_win_row, rates))),
            Answers(rates[0].judge, rates[0].rows),
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
        *number_cells(rate.rate, share=True),
        f"{rate.wins} / {rate.ties} / {rate.losses}",
        "< 0.0001" if rate.p_value < 0.0001 else f"{rate.p_value:.2g}",
        " → ".join(map(number, scores)),
        " → ".join(map(percent, finished)),
    )


def _kl_section(kl: KlEstimate) -> Section:
    rows = (
        ("per sequence, mean log-ratio", *number_cells(kl.per_sequence)),
        ("per sequence, low variance (k3)", *number_cells(kl.k3_per_sequence)),
        ("per token, mean log-ratio", *number_cells(kl.per_token)),
        ("per token, low variance (k3)", *number_cells(kl.k3_per_token)),
    )
    headings = columns("estimator, nats", "#estimate", ENDS)
    plots = Plots({"kl": kl_chart(kl)} if kl.log_ratios.values else {})
    return Section(
        "kl",
        "Distance from the reference",
        shown(plots, Table("KL estimates", headings, rows, wide=False)),
        f"KL divergence estimated on {kl.sequences} answers ({kl.tokens:,} tokens) sampled from "
        "the trained model. Zero means the model has not moved.",
    )


def _data_section(data: DataSummary) -> Section:
    left_out: list[tuple[Cell | str, ...]] = [
        (Cell(f"{e.action}: {e.reason}", e.examples), f"{e.count:,}") for e in data.exclusions
    ]
    counts = (
        ("rows read", f"{data.read:,}"),
        ("trained on", f"{data.train:,}"),
        ("held out", f"{data.held_out:,}"),
        *(left_out or [("skipped, dropped or truncated", "0")]),
    )
    lengths = tuple(
        (
            *(text.name, number(text.median), number(text.percentile_95)),
            *(f"{text.longest:,}", f"{text.total:,}"),
        )
        for text in data.lengths
    )
    headings = columns("tokens", "#median", "#95th pct.", "#longest", "#total")
    parts = (
        Plots(length_charts(data)),
        Table("Counts", columns("", "#"), counts, wide=False),
        Table("Lengths in tokens", headings, lengths, wide=False),
    )
    lead = f"{data.read:,} rows read from {', '.join(data.sources)}."
    return Section("data", "Data", shown(*parts), lead)


def _environment_rows(environment: Environment) -> tuple[tuple[str, str], ...]:
    seconds, speed = environment.seconds, environment.tokens_per_second
    memory = environment.peak_memory_bytes
    return (
        ("hardware", environment.hardware),
        *known(
            precision=environment.precision,
            training_time=None if math.isnan(seconds) else _duration(seconds),
            speed=None if math.isnan(speed) else f"{number(speed)} tokens/s",
            peak_memory=None if memory is None else f"{memory / 1e9:.1f} GB",
        ),
        *environment.versions.items(),
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest} s"
