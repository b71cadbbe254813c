"""What is measured of a model while it trains, as plain numbers that checks read.

Knows numbers. Knows nothing of models, trainers or thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from accordant.statistics.charts import Chart, Mark, Series

NAN = float("nan")  # comparisons with it are false: what was not measured raises nothing


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was measured of the model at one step.

    Args:
        step: optimiser steps done; 0 is the start.
        chosen: log-probability of every probe pair's chosen answer, summed, nats.
        rejected: of its rejected answer.
        start_answers: of every answer that the model gave to the prompts at the start.
        entropy: mean over tokens of fresh answers of -sum p log p over the k likeliest tokens (not
            made to sum to one), nats; NaN where nothing was sampled.
        renormalised_entropy: the same with the k probabilities made to sum to one.
        top_mass: mean summed probability of those tokens, in [0, 1].
        mass_error: standard error of that mean, the answers being the sample; NaN for one answer.
        chosen_stays: by pair, whether a small step on it would not raise its chosen answer.
        rejected_stays: whether it would not lower its rejected one.
        held_out_reward: mean margin of held-out rewards, as the trainer last logged it; NaN where
            it logs none.
    """

    step: int
    chosen: tuple[float, ...] = ()
    rejected: tuple[float, ...] = ()
    start_answers: tuple[float, ...] = ()
    entropy: float = NAN
    renormalised_entropy: float = NAN
    top_mass: float = NAN
    mass_error: float = NAN
    chosen_stays: tuple[bool, ...] = ()
    rejected_stays: tuple[bool, ...] = ()
    held_out_reward: float = NAN


@dataclass(frozen=True, slots=True)
class RunHistory:
    """All snapshots of a run so far.

    Args:
        snapshots: in the order of their steps, the start first.
        start_tokens: tokens of the answers in `Snapshot.start_answers`.
        beta: from log-ratios to implicit rewards.
        top_k: tokens that `entropy` and `top_mass` are over.
    """

    snapshots: tuple[Snapshot, ...]
    start_tokens: tuple[int, ...] = ()
    beta: float = 0.1
    top_k: int = 10

    @property
    def start(self) -> Snapshot:
        """The model before its first step."""
        return self.snapshots[0]

    @property
    def last(self) -> Snapshot:
        """The model as it is."""
        return self.snapshots[-1]

    @property
    def steps(self) -> tuple[float, ...]:
        """Steps of all snapshots."""
        return tuple(float(snapshot.step) for snapshot in self.snapshots)

    def over_steps(self, value: Callable[[Snapshot], float]) -> tuple[float, ...]:
        """Return one number of every snapshot."""
        return tuple(value(snapshot) for snapshot in self.snapshots)

    def chart(
        self,
        title: str,
        note: str,
        y_title: str,
        lines: Mapping[str, Callable[[Snapshot], float]],
        *marks: Mark,
    ) -> Chart:
        """Make the chart of numbers of every snapshot over the steps."""
        series = (Series(name, self.over_steps(value), self.steps) for name, value in lines.items())
        return Chart("lines", title, note, "step", y_title, tuple(series), marks)


def changes(now: tuple[float, ...], start: tuple[float, ...]) -> tuple[float, ...]:
    """Subtract log-probabilities, item by item, nats."""
    # Strict: a snapshot of other answers would be no change at all.
    return tuple(a - b for a, b in zip(now, start, strict=True))
