"""Running a paper's claim in miniature and judging whether its shape shows.

Knows claims, measurements and their intervals. Knows no system: a record names the function that
measures. A reproduction never compares with a number of the paper; it checks signs, orders and
trends, each with an interval over seeds, and says yes only when every part holds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from accordant.base.errors import UserError
from accordant.catalogue.system import System
from accordant.statistics.interval import Interval


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured row: a condition, the quantity, its value with an interval, and its unit."""

    condition: str
    quantity: str
    value: Interval
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One part of the claim's shape.

    Args:
        statement: what must be seen, such as `matched beats unmatched`.
        evidence: the number the verdict rests on, usually a difference between conditions.
        threshold: the part holds when the whole interval lies above this.
    """

    statement: str
    evidence: Interval
    threshold: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether the whole interval lies above the threshold; False where it is NaN."""
        return self.evidence.low > self.threshold


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What a reproduction measured.

    Args:
        rows: measurements per condition, to be read beside the claim.
        checks: the parts of the claim's shape; at least one.
        seeds: seeds the measurements were repeated with.
        note: what a reader must know, such as what is simulated.
    """

    rows: tuple[Measurement, ...]
    checks: tuple[Check, ...]
    seeds: tuple[int, ...]
    note: str = ""

    def __post_init__(self) -> None:
        if not self.checks:
            raise ValueError("a reproduction without checks shows nothing")

    @property
    def shows(self) -> bool:
        """Whether every part of the shape shows."""
        return all(check.holds for check in self.checks)

    def as_dict(self, system: System) -> dict[str, Any]:
        """Claim, measurements and verdict as plain values, for JSON."""
        checks = [asdict(check) | {"holds": check.holds} for check in self.checks]
        return {
            "id": system.id,
            "slug": system.slug,
            "claim": system.claim,
            "shows": self.shows,
            "seeds": list(self.seeds),
            "measured": [asdict(row) for row in self.rows],
            "checks": checks,
            "note": self.note,
        }


def run_reproduction(system: System, seeds: Sequence[int] | None = None) -> Reproduction:
    """Run the reproduction of `system`.

    Args:
        system: a record whose `reproduce` names a function `f(seeds) -> Reproduction`, where
            `seeds` is a tuple of seeds, or None for the function's own choice.
        seeds: seeds to repeat the measurements with, or None.

    Raises:
        UserError: the system is planned: there is nothing to run yet.
    """
    if system.reproduce is None:
        raise UserError(
            f"{system.id} {system.slug} is planned: its claim cannot be reproduced yet.",
            mend="`accordant catalogue --state works` lists what can.",
        )
    function = resolve(system.reproduce)
    return function(None if seeds is None else tuple(seeds))


def resolve(reference: str) -> Callable[..., Any]:
    """The function that `module:function` names."""
    module, _, name = reference.partition(":")
    function = getattr(import_module(module), name)
    if not callable(function):
        raise TypeError(f"{reference} is not a function")
    return function


def over_seeds(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean over seeds with Student's t interval: mean +- t_{n-1} s / sqrt(n).

    Seeds are few, so the bootstrap would be too sure of itself. With fewer than two the ends are
    NaN, and no check on them holds; so they are where a seed measured no finite number.

    Args:
        values: one number per seed; for a difference, the difference within each seed.
        level: confidence level, in (0, 1).
    """
    count = len(values)
    if count < 2 or not all(map(math.isfinite, values)):
        estimate = statistics.fmean(values) if count else float("nan")
        return Interval(estimate, float("nan"), float("nan"), count, level)
    from scipy.stats import t

    mean = statistics.fmean(values)
    half = float(t.ppf((1 + level) / 2, count - 1)) * statistics.stdev(values) / count**0.5
    return Interval(mean, mean - half, mean + half, count, level)


def beats(statement: str, better: Sequence[float], worse: Sequence[float]) -> Check:
    """The check that `better` exceeds `worse`, paired by seed.

    Raises:
        ValueError: the two have different numbers of seeds.
    """
    differences = [b - w for b, w in zip(better, worse, strict=True)]
    return Check(statement, over_seeds(differences))


def not_worse(
    statement: str, values: Sequence[float], baseline: Sequence[float], margin: float
) -> Check:
    """The check that `values` lose at most `margin` against `baseline`, paired by seed.

    Raises:
        ValueError: the margin is not positive, or the two have different numbers of seeds.
    """
    if margin <= 0:
        raise ValueError(f"the margin must be positive, got {margin}")
    differences = [v - b for v, b in zip(values, baseline, strict=True)]
    return Check(statement, over_seeds(differences), threshold=-margin)
