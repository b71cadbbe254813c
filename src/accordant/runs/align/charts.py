"""The charts of an align run: curves over steps, win rates, divergence, lengths.

Knows the results of a run. Knows nothing of pages, nor of how a chart is drawn (reports/drawing).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from accordant.runs.align.results import AlignResults, DataSummary, KlEstimate, WinRate
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.measures import HeldOut

_SHOWN = ("loss", "logps/", "rewards/", "nll")
_UNPLOTTED = ("step", "epoch", "total_flos", "train_")
_BESIDE_SPEED = ("runtime", "samples_per_second", "steps_per_second")
_LOOKS = {
    **dict.fromkeys(("chosen", "desirable", "best", "completion"), "wanted"),
    **dict.fromkeys(("rejected", "undesirable", "others"), "unwanted"),
}
_LONGEST_NAME = 28
Rows = Sequence[Mapping[str, Any]]


def training_charts(results: AlignResults) -> dict[str, Chart]:
    """Return log-probability trajectories, loss, reward margins and accuracies over steps."""
    rows = results.curves
    note = "The objective's loss: faint on training batches, solid on held-out records."
    made = {
        "logps": _trajectories(rows, results.held_out),
        "loss": _curves(rows, "loss", "Loss", note, "neutral"),
        "rewards-margins": _reward(rows, "margins", "wanted", 0.0, "no preference"),
        "rewards-accuracies": _reward(rows, "accuracies", "good", 0.5, "chance"),
    }
    return {name: chart for name, chart in made.items() if chart.series}


def further_charts(rows: Rows) -> dict[str, Chart]:
    """Return every other metric that was logged, one small chart each."""
    names = [
        name
        for name in sorted({_base_name(name) for row in rows for name in row})
        if not name.startswith(_UNPLOTTED)
        and not (name == "loss" or name.startswith(_SHOWN) or name.endswith(_BESIDE_SPEED))
    ]
    charts = {
        f"further-{place}": _curves(rows, name, name, "", 2 + place % 6)
        for place, name in enumerate(names)
    }
    return {name: chart for name, chart in charts.items() if chart.series}


def read_curve(rows: Rows, metric: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return steps and finite values of a logged metric, in order; empty when it was not logged.

    Held-out metrics are `eval_NAME`; `eval/NAME` is read as the same.
    """
    alternative = metric.replace("eval_", "eval/", 1)
    points = sorted(
        (float(row["step"]), float(value))
        for row in rows
        if "step" in row
        and isinstance(value := row.get(metric, row.get(alternative)), int | float)
        and math.isfinite(value)
    )
    return tuple(step for step, _ in points), tuple(value for _, value in points)


def _both(rows: Rows, metric: str, prefix: str, look: str | int) -> tuple[Series, ...]:
    """Return a metric on training batches, faint where it is also known on held-out records."""
    steps, values = read_curve(rows, metric)
    places, held_out = read_curve(rows, f"eval_{metric}")
    style: Literal["faint", "line"] = "faint" if places else "line"
    training = Series(f"{prefix}training", values, steps, look=look, style=style)
    beside = Series(f"{prefix}held-out", held_out, places, look=look)
    return tuple(series for series in (training, beside) if series.values)


def _curves(rows: Rows, metric: str, title: str, note: str, look: str | int) -> Chart:
    axis = "" if title == metric else title.lower()
    return Chart("lines", title, note, "step", axis, _both(rows, metric, "", look))


def _reward(rows: Rows, metric: str, look: str, neutral: float, label: str) -> Chart:
    return Chart(
        "lines",
        f"Reward {metric}",
        f"Above the dotted line ({label}) the model prefers what people preferred.",
        "step",
        f"reward {metric}",
        _both(rows, f"rewards/{metric}", "", look),
        (Mark(neutral, label, vertical=False),),
        shares=metric == "accuracies",
    )


def _trajectories(rows: Rows, held_out: HeldOut | None) -> Chart:
    metrics = sorted({_base_name(name) for row in rows for name in row})
    names = [name.removeprefix("logps/") for name in metrics if name.startswith("logps/")]
    looks = {name: _look_of(name, place) for place, name in enumerate(names)}
    curves = (_both(rows, f"logps/{name}", f"{name}, ", looks[name]) for name in names)
    starts = {name: _start_of(rows, held_out, name) for name in names}
    return Chart(
        "lines",
        "Log-probabilities of " + " and ".join(names),
        "Both can fall while the margin grows: a chosen line below its dotted start means that "
        "preferred answers became less likely.",
        "step",
        "log-probability per sequence, nats",
        tuple(series for curve in curves for series in curve),
        tuple(
            Mark(start, f"{name} at the start", vertical=False, look=looks[name])
            for name, start in starts.items()
            if start is not None
        ),
        wide=True,
    )


def _look_of(name: str, place: int) -> str | int:
    return _LOOKS.get(name, 2 + place % 6)  # 0 and 1 are the colours of wanted and unwanted


def _start_of(rows: Rows, held_out: HeldOut | None, name: str) -> float | None:
    """Return the held-out log-probability of a group before the first step, where it is known."""
    steps, values = read_curve(rows, f"eval_logps/{name}")
    if steps and steps[0] == 0:
        return values[0]
    changes = held_out.changes if held_out else ()
    return next((change.before for change in changes if change.name == name), None)


def win_rate_chart(rates: Sequence[WinRate]) -> Chart:
    """Return wins, ties and losses of each judge as stacked bars, win rate and interval below."""
    bars = []
    for outcome in ("wins", "ties", "losses"):
        counts = [int(getattr(rate, outcome)) for rate in rates]
        totals = [max(1, rate.rate.count) for rate in rates]
        shares = tuple(100 * n / total for n, total in zip(counts, totals, strict=True))
        bars.append(Series(outcome, shares, labels=tuple(str(n) if n else "" for n in counts)))
    ends = ("estimate", "low", "high")
    middle, low, high = (tuple(100 * getattr(r.rate, end) for r in rates) for end in ends)
    judges = tuple(rate.judge for rate in rates)
    rate = Series("win rate", middle, middle, x_low=low, x_high=high, labels=judges, look="wanted")
    return Chart(
        "stacked",
        "Win rate",
        "The diamond is the win rate, ties counted half, with its interval; 50 % is no change.",
        "share of prompts, %",
        "",
        (*bars, rate),
        (Mark(50.0),),
        # The end of a long name tells files of one folder apart.
        rows=tuple(
            name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :]
            for name in judges
        ),
        wide=True,
        height=110 + 80 * len(rates),
    )


def kl_chart(kl: KlEstimate) -> Chart:
    """Return the log-ratio of every sample as a histogram."""
    return Chart(
        "histogram",
        "How far the model moved",
        "Each sample drawn from the trained model; their mean is the estimated divergence.",
        "log policy - log reference of a sample, nats",
        "samples",
        (Series("samples", kl.log_ratios.values, look="neutral"),),
        (Mark(kl.per_sequence.estimate, "mean"),),
    )


def length_charts(data: DataSummary) -> dict[str, Chart]:
    """Return the lengths of prompts and completions, a histogram each."""
    charts = {}
    for place, text in enumerate(data.lengths, 1):
        edges, counts = text.histogram.edges, tuple(map(float, text.histogram.counts))
        centres = tuple((low + high) / 2 for low, high in pairwise(edges))
        bars = Series(text.name, counts, centres, look=_look_of(text.name, place))
        note = "Number of texts at each length in tokens."
        title = f"Lengths: {text.name}"
        charts[f"lengths-{place}"] = Chart("bars", title, note, "tokens", "texts", (bars,))
    return charts


def _base_name(metric: str) -> str:
    return metric.removeprefix("eval_").removeprefix("eval/")
