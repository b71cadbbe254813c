"""The plots of a report: plotly figures, each with a title, a note on how to read it and in words.

Knows the records of a report. Knows nothing of HTML files, nor of how a line is drawn (`drawing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from accordant.reports.charts import Plot, draw_chart
from accordant.reports.drawing import (
    FURTHER,
    GOOD,
    NEUTRAL,
    START,
    UNWANTED,
    WANTED,
    apply_style,
    bars,
    colour_of,
    draw_histograms,
    draw_pair,
    mark_value,
    new_figure,
    read_curve,
)
from accordant.reports.results import DataSummary, KlEstimate, RunReport, WinRate
from accordant.statistics.measures import HeldOut
from accordant.statistics.wording import ends, number, percent

if TYPE_CHECKING:
    pass

_SHOWN = ("loss", "logps/", "rewards/", "nll")
_UNPLOTTED = ("step", "epoch", "total_flos", "train_")
_BESIDE_SPEED = ("runtime", "samples_per_second", "steps_per_second")


def training_plots(report: RunReport) -> tuple[Plot, ...]:
    """Log-probability trajectories, loss, reward margins and accuracies over steps."""
    made = [
        _trajectory_plot(report),
        _loss_plot(report),
        _reward_plot(report, "margins", "Reward margins", 0.0, "no preference"),
        _reward_plot(report, "accuracies", "Reward accuracies", 0.5, "chance"),
    ]
    return tuple(plot for plot in made if plot is not None)


def further_plots(report: RunReport) -> tuple[Plot, ...]:
    """Every other metric that was logged, one small plot each."""
    names = sorted({_base_name(name) for row in report.curves for name in row})
    shown = [
        name
        for name in names
        if not name.startswith(_UNPLOTTED)
        and not (name == "loss" or name.startswith(_SHOWN) or name.endswith(_BESIDE_SPEED))
    ]
    made = []
    for index, name in enumerate(shown):
        colour = FURTHER[index % len(FURTHER)]
        figure = new_figure("step", "")
        drawn = draw_pair(figure, report.curves, name, "", colour)
        if drawn:
            made.append(Plot(f"further-{index}", name, "", drawn, figure))
    return tuple(made)


def held_out_plots(held_out: HeldOut | None) -> tuple[Plot, ...]:
    """Histograms of held-out margins or rewards."""
    charts = () if held_out is None else held_out.charts
    return tuple(draw_chart(f"held-out-{place}", chart) for place, chart in enumerate(charts, 1))


def win_rate_plot(rates: Sequence[WinRate]) -> Plot | None:
    """Stacked bars of wins, ties and losses per judge, the win rate and its interval below."""
    import plotly.graph_objects as go

    if not rates:
        return None
    places = list(range(len(rates)))
    figure = new_figure("share of prompts, %", "", height=110 + 80 * len(rates))
    for part, colour in (("wins", GOOD), ("ties", START), ("losses", UNWANTED)):
        counts = [int(getattr(rate, part)) for rate in rates]
        shares = [100 * n / max(1, rate.rate.count) for n, rate in zip(counts, rates, strict=True)]
        figure.add_trace(
            go.Bar(
                x=shares,
                y=places,
                width=0.42,
                orientation="h",
                name=part,
                marker={"color": colour, "opacity": 0.85},
                text=[str(n) if n else "" for n in counts],
                textposition="inside",
                insidetextanchor="middle",
                textfont={"color": "#ffffff"},
                hovertemplate=f"%{{x:.1f}} % {part}<extra></extra>",
            )
        )
    figure.add_trace(_interval_marker(rates))
    figure.add_vline(x=50, line={"dash": "dot", "width": 1.5, "color": START})
    figure.update_layout(barmode="stack", legend_traceorder="normal", hovermode="closest")
    figure.update_xaxes(range=[0, 101], dtick=25)
    names = [escape(_ending(rate.judge)) for rate in rates]
    figure.update_yaxes(showgrid=False, range=[len(rates) - 0.4, -0.4])
    figure.update_yaxes(tickvals=places, ticktext=names, ticksuffix="  ")
    described = "; ".join(
        f"{rate.judge}: {percent(rate.rate.estimate)} ({ends(rate.rate, 'share')}), "
        f"{rate.wins} won, {rate.ties} tied, {rate.losses} lost"
        for rate in rates
    )
    note = "The diamond is the win rate, ties counted half, with its interval; 50 % is no change."
    return Plot("win-rate", "Win rate", note, f"Win rate by judge. {described}.", figure, wide=True)


def kl_plot(kl: KlEstimate | None) -> Plot | None:
    """Histogram of the log-ratio of every sample."""
    if kl is None or not kl.log_ratios.values:
        return None
    figure = new_figure("log policy - log reference of a sample, nats", "samples")
    draw_histograms(figure, [("samples", kl.log_ratios.values, NEUTRAL)])
    mark_value(figure, kl.per_sequence.estimate, "mean", vertical=True)
    text = (
        f"Log-ratios of {kl.sequences} samples, mean {number(kl.per_sequence.estimate)} nats, "
        f"interval {ends(kl.per_sequence, 'number')}."
    )
    note = "Each sample drawn from the trained model; their mean is the estimated divergence."
    return Plot("kl", "How far the model moved", note, text, figure)


def length_plot(data: DataSummary) -> Plot | None:
    """Histograms of the lengths of prompts and completions, one below the other."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    parts = [part for part in data.lengths if part.histogram.counts]
    if not parts:
        return None
    figure = make_subplots(rows=len(parts), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for row, part in enumerate(parts, 1):
        centres, widths = bars(part.histogram)
        figure.add_trace(
            go.Bar(
                x=centres,
                y=list(part.histogram.counts),
                width=widths,
                name=escape(part.name),
                marker={"color": colour_of(part.name, row)},
                hovertemplate="about %{x:.0f} tokens: %{y}<extra></extra>",
            ),
            row=row,
            col=1,
        )
        figure.update_yaxes(title_text=escape(part.name), row=row, col=1)
    apply_style(figure, height=70 + 130 * len(parts))
    figure.update_layout(showlegend=False, bargap=0.04)
    figure.update_xaxes(title_text="tokens", row=len(parts), col=1)
    text = "; ".join(
        f"{part.name}: median {part.median:.0f}, longest {part.longest} tokens" for part in parts
    )
    note = "Number of texts at each length in tokens."
    return Plot("lengths", "Lengths", note, f"Histograms of lengths. {text}.", figure)


def _loss_plot(report: RunReport) -> Plot | None:
    figure = new_figure("step", "loss")
    drawn = draw_pair(figure, report.curves, "loss", "", NEUTRAL)
    if not drawn:
        return None
    note = "The objective's loss: faint on training batches, solid on held-out records."
    return Plot("loss", "Loss", note, drawn, figure)


def _trajectory_plot(report: RunReport) -> Plot | None:
    names = sorted(
        {
            base.removeprefix("logps/")
            for row in report.curves
            for base in map(_base_name, row)
            if base.startswith("logps/")
        }
    )
    figure, described = new_figure("step", "log-probability per sequence, nats"), []
    for index, name in enumerate(names):
        colour = colour_of(name, index)
        drawn = draw_pair(figure, report.curves, f"logps/{name}", name, colour)
        if not drawn:
            continue
        described.append(drawn)
        start = _start_of(report, name)
        if start is not None:
            mark_value(figure, start, f"{name} at the start", vertical=False, colour=colour)
    if not described:
        return None
    note = (
        "Both can fall while the margin grows: a chosen line below its dotted start means that "
        "preferred answers became less likely."
    )
    title = "Log-probabilities of " + " and ".join(names)
    return Plot("logps", title, note, " ".join(described), figure, wide=True)


def _reward_plot(
    report: RunReport, metric: str, title: str, neutral: float, label: str
) -> Plot | None:
    figure = new_figure("step", title.lower())
    colour = WANTED if metric == "margins" else GOOD
    drawn = draw_pair(figure, report.curves, f"rewards/{metric}", "", colour)
    if not drawn:
        return None
    mark_value(figure, neutral, label, vertical=False)
    if metric == "accuracies":
        figure.update_yaxes(range=[0, 1.03], tickformat=".0%")
    note = f"Above the dotted line ({label}) the model prefers what people preferred."
    return Plot(f"rewards-{metric}", title, note, drawn, figure)


def _interval_marker(rates: Sequence[WinRate]) -> Any:
    import plotly.graph_objects as go

    ends = [(rate.rate.estimate, rate.rate.low, rate.rate.high) for rate in rates]
    return go.Scatter(
        x=[100 * middle for middle, _, _ in ends],
        y=[place + 0.36 for place in range(len(rates))],
        mode="markers",
        name="win rate",
        marker={"symbol": "diamond", "size": 11, "color": WANTED},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [100 * (high - middle) for middle, _, high in ends],
            "arrayminus": [100 * (middle - low) for middle, low, _ in ends],
            "color": WANTED,
            "thickness": 2.5,
            "width": 6,
        },
        hovertemplate="win rate %{x:.1f} %<extra></extra>",
    )


def _ending(name: str, most: int = 28) -> str:
    """The end of a long name, which tells files of one folder apart."""
    return name if len(name) <= most else "…" + name[-most + 1 :]


def _start_of(report: RunReport, name: str) -> float | None:
    """Held-out log-probability of a group before the first step, where it is known."""
    held_out = read_curve(report.curves, f"eval_logps/{name}")
    if held_out.steps and held_out.steps[0] == 0:
        return held_out.values[0]
    changes = report.held_out.changes if report.held_out else ()
    return next((change.before for change in changes if change.name == name), None)


def _base_name(metric: str) -> str:
    return metric.removeprefix("eval_").removeprefix("eval/")
