"""Held-out completions in log-probabilities, and what kinds of feedback measure of them.

Knows summed log-probabilities and lengths. Knows nothing of kinds, models, text or files.
Log-probabilities are in nats. An implicit reward is beta (log policy - log reference), as in
Rafailov et al. 2023 (DPO), equation 5 without the term of the prompt, which cancels in a pair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.estimates import bootstrap_mean, proportion, to_floats
from accordant.statistics.interval import Interval
from accordant.statistics.measures import LogpChange, Measure, chance_figure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    Floats = NDArray[np.float64]
    Values = ArrayLike | Tensor


@dataclass(frozen=True, slots=True)
class HeldOutLogps:
    """Log-probabilities of `n` held-out completions, each summed over its tokens.

    Args:
        policy: under the trained model, `[n]`, nats.
        start: under the model before the first step, `[n]`, nats.
        lengths: tokens of every completion, `[n]`, at least 1.
        reference: under the reference, `[n]`, nats; None when it is the start.
    """

    policy: Values
    start: Values
    lengths: Values
    reference: Values | None = None

    def rewards(self, beta: float) -> Floats:
        """Return implicit rewards beta (policy - reference), float64 `[n]`."""
        base = self.start if self.reference is None else self.reference
        policy, against = paired(policy=self.policy, reference=base)
        return beta * (policy - against)

    def every(self, step: int, start: int = 0) -> HeldOutLogps:
        """Return every `step`-th completion, from the one at `start` on."""
        columns: tuple[Any, ...] = (self.policy, self.start, self.lengths, self.reference)
        taken: list[Any] = [c if c is None else c[start::step] for c in columns]
        return HeldOutLogps(*taken)

    def change(
        self, name: str, members: NDArray[np.bool_] | None = None, *, wanted: bool = True
    ) -> LogpChange:
        """Measure how a group of these completions moved; all of them where `members` is None."""
        columns = paired(start=self.start, policy=self.policy, lengths=self.lengths)
        if members is not None:
            columns = [column[members] for column in columns]
        return logp_change(name, *columns, wanted=wanted)


def logp_change(
    name: str,
    before: Values,
    after: Values,
    lengths: Values,
    *,
    wanted: bool = True,
    in_figures: bool = True,
) -> LogpChange:
    """Measure how far the log-probabilities of one group of completions moved; did they fall?

    Args:
        name: the group, such as `chosen`.
        before: summed log-probabilities at the start (or under the reference), `[n]`.
        after: the same at the end, `[n]`.
        lengths: tokens of every completion, `[n]`.
        wanted: whether people prefer them.
        in_figures: whether the movement stands among the key figures.
    """
    old, new, tokens = paired(before=before, after=after, lengths=lengths)
    # Paired: each completion against itself, which leaves out how much completions differ.
    moved = new - old
    return LogpChange(
        name=name,
        before=_mean(old),
        after=_mean(new),
        change=bootstrap_mean(moved),
        change_per_token=bootstrap_mean(moved / tokens),
        fell=proportion(wins(-moved)),
        wanted=wanted,
        in_figures=in_figures,
    )


def wins(differences: Floats) -> Floats:
    """Return 1 where positive, 1/2 where zero, 0 where negative."""
    return (np.sign(differences) + 1) / 2


def mean_of(name: str, label: str, values: Floats, unit: str = "number") -> Measure:
    """Make the measure that is the mean of `values`, which are kept."""
    return Measure(name, bootstrap_mean(values), unit, label, tuple(values.tolist()))


def share_of(name: str, label: str, differences: Floats) -> Measure:
    """Make the measure of the share of differences above zero, ties half; they are kept."""
    outcomes = wins(differences)
    return Measure(name, proportion(outcomes), "share", label, tuple(outcomes.tolist()))


def against_chance(measure: Measure, headline: str, *, in_verdict: bool = True) -> Measure:
    """Make a share a key figure as well, held against one half."""
    figure = chance_figure(headline, measure.number, in_verdict=in_verdict)
    return replace(measure, figure=figure)


def histogram_of(
    title: str, note: str, axes: tuple[str, str], *groups: tuple[str, Floats]
) -> Chart:
    """Make the histogram of named groups of values, with a line at zero."""
    series = tuple(Series(name, tuple(values.tolist())) for name, values in groups)
    return Chart("histogram", title, note, *axes, series, (Mark(0.0),))


def exponential(interval: Interval) -> Interval:
    """Return the interval of exp(x)."""
    # Monotone, so the ends of the interval map to the ends.
    ends = np.exp([interval.estimate, interval.low, interval.high]).tolist()
    return Interval(ends[0], ends[1], ends[2], interval.count, interval.level)


def paired(**values: Values) -> list[Floats]:
    """Return float64 vectors of one length; a ValueError names those that differ."""
    floats = {name: to_floats(value, name) for name, value in values.items()}
    if len({len(vector) for vector in floats.values()}) > 1:
        sizes = ", ".join(f"{name} {len(vector)}" for name, vector in floats.items())
        raise ValueError(f"entries must match one by one, got {sizes}")
    return list(floats.values())


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
