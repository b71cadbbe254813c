"""Declare a study: what is measured per seed, and what its numbers must show.

Knows numbers by condition and quantity, and intervals over seeds. Knows no system and nothing of
how a number is measured. A claim never compares with a number of the paper: it is about signs,
orders and trends, and it holds only where its whole interval lies on the right side.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from accordant.catalogue.system import System
from accordant.statistics.interval import Interval


class Share(float):
    """A count out of so many trials, whose interval over all seeds is exact.

    Trials of all seeds are pooled, so they must be independent of each other, seeds included.
    """

    count: int
    trials: int

    def __new__(cls, count: int, trials: int) -> Share:
        """Make the share `count / trials`, NaN of none; calculating with it gives plain numbers."""
        share = super().__new__(cls, count / trials if trials else math.nan)
        share.count, share.trials = count, trials
        return share

    def complement(self) -> Share:
        """Return the share of the other trials."""
        return Share(self.trials - self.count, self.trials)


SEEN = range(2000)
"""Seeds that were looked at while designs were made: on them no claim counts as shown."""


def fresh_seeds(count: int) -> tuple[int, ...]:
    """Return seeds that no design of a study has been chosen on."""
    return tuple(range(SEEN.stop, SEEN.stop + count))


Measured = Mapping[str, Mapping[str, float]]
"""What one seed gives: condition -> quantity -> number."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One part of what a paper claims, declared over the numbers of a seed.

        Claim("gold falls less from its peak", "fall", lower="rpo", than="dpo")
        Claim("help is kept", "accuracy", higher="d2o", than="start", by=-0.05)
        Claim("answers win over the start's", "win rate", higher="bco", than=0.5)

    Args:
        statement: what must be seen, in words.
        quantity: the measured number it is about, or a function of all numbers of a seed, whose
            value must be higher than `than`.
        higher: the condition at which the quantity must be higher.
        lower: or the one at which it must be lower; exactly one of both, none beside a function.
        than: another condition, compared seed by seed; a condition with another quantity; or a
            number, the same for every seed.
        by: how far apart they must be at least; negative for how much may be lost.
        control: it is no part of what the paper claims, but says whether the study could see it.
        expected: for an effect that may be too small to be seen, what seeds looked at before gave:
            the mean distance from the threshold, and its standard deviation between seeds.

    Raises:
        ValueError: it names both conditions or none, or compares a function with a condition.
    """

    statement: str
    quantity: str | Callable[[Measured], float]
    higher: str = ""
    lower: str = ""
    than: str | tuple[str, str] | float = 0.0
    by: float = 0.0
    control: bool = False
    expected: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        derived = callable(self.quantity)
        if bool(self.higher) + bool(self.lower) != (0 if derived else 1):
            raise ValueError(f"'{self.statement}' needs one of higher= and lower=, a function none")
        if derived and isinstance(self.than, str | tuple):
            raise ValueError(f"'{self.statement}': a function is compared with a number")

    @property
    def threshold(self) -> float:
        """The claim holds where the whole interval of its evidence lies above this."""
        if isinstance(self.than, str | tuple):
            return self.by
        return self.by + (0.0 - self.than if self.lower else self.than)

    def power(self, seeds: int) -> float | None:
        """Return the chance that so many seeds show the expected effect; None without one."""
        if self.expected is None:
            return None
        effect, deviation = self.expected
        return power_of_t(effect / deviation, seeds)

    def evidence(self, measured: Measured) -> float:
        """Return the number of one seed that the verdict rests on.

        Against a condition it is the difference within the seed, which removes what seeds differ
        in; against a number it is the quantity itself, negative where it must be lower.

        Raises:
            KeyError: the seed has no such condition or quantity.
        """
        if callable(self.quantity):
            return self.quantity(measured)
        number = measured[self.higher or self.lower][self.quantity]
        if not isinstance(self.than, str | tuple):
            return -number if self.lower else number
        condition, quantity = (
            (self.than, self.quantity) if isinstance(self.than, str) else self.than
        )
        other = measured[condition][quantity]
        if self.lower:
            number, other = other, number
        return number - other


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One measured row: a condition, the quantity, its value with an interval, and its unit."""

    condition: str
    quantity: str
    value: Interval
    unit: str = ""


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """A claim with its evidence over all seeds."""

    statement: str
    evidence: Interval
    threshold: float = 0.0
    control: bool = False

    @property
    def holds(self) -> bool:
        """Whether the whole interval lies above the threshold; False where it is NaN."""
        return self.evidence.low > self.threshold


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What a study measured.

    Args:
        rows: numbers by condition, to be read beside the claim.
        claims: the parts of the claim's shape, judged; at least one.
        seeds: seeds the measurements were repeated with.
        note: what a reader must know, such as what is simulated.
    """

    rows: tuple[ResultRow, ...]
    claims: tuple[JudgedClaim, ...]
    seeds: tuple[int, ...]
    note: str = ""

    def __post_init__(self) -> None:
        if not self.claims:
            raise ValueError("a reproduction without claims shows nothing")

    @property
    def shows(self) -> bool:
        """Whether every part of the shape shows."""
        return all(claim.holds for claim in self.claims)

    def as_dict(self, system: System) -> dict[str, Any]:
        """Return claim, measurements and verdict as plain values, for JSON."""
        checks = [asdict(claim) | {"holds": claim.holds} for claim in self.claims]
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


@dataclass(frozen=True, slots=True)
class Study:
    """How a paper's claim is put to the test.

    Args:
        measure: returns the numbers of one seed; every seed has the same conditions and quantities.
        seeds: what it is repeated with unless the user asks for others; at least three.
        claims: the parts of the claim's shape.
        note: what a reader must know, such as what is simulated.
        units: unit of each quantity; none where it is not named.
        untested: parts of the abstract's claim that could be measured and are not.
    """

    measure: Callable[[int], Measured]
    seeds: tuple[int, ...]
    claims: tuple[Claim, ...]
    note: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    untested: tuple[str, ...] = ()

    def first_seeds(self, count: int) -> tuple[int, ...]:
        """Return the first of its own seeds, and those that follow the last where it has fewer."""
        further = range(self.seeds[-1] + 1, self.seeds[-1] + 1 + count)
        return (*self.seeds, *further)[:count]

    def run(
        self, seeds: Sequence[int] | None = None, known: Mapping[int, Measured] | None = None
    ) -> Reproduction:
        """Measure every seed that is not known, one after the other, and judge the claims."""
        chosen, measured = tuple(seeds or self.seeds), dict(known or {})
        for seed in chosen:
            if seed not in measured:
                measured[seed] = self.measure(seed)
            # At once, so that a misspelt condition is found after one seed and not after all.
            for claim in self.claims:
                claim.evidence(measured[seed])
        rows = summarise([measured[seed] for seed in chosen], self.units)
        judged = judge(self.claims, [measured[seed] for seed in chosen])
        return Reproduction(rows, judged, chosen, self.note)


def judge(claims: Sequence[Claim], measured: Sequence[Measured]) -> tuple[JudgedClaim, ...]:
    """Return every claim with the interval of its evidence over seeds."""
    return tuple(
        JudgedClaim(
            claim.statement,
            over_seeds([claim.evidence(numbers) for numbers in measured]),
            claim.threshold,
            claim.control,
        )
        for claim in claims
    )


def summarise(measured: Sequence[Measured], units: Mapping[str, str]) -> tuple[ResultRow, ...]:
    """Return every condition and quantity with its interval over seeds."""
    return tuple(
        ResultRow(
            condition,
            quantity,
            over_seeds([numbers[condition][quantity] for numbers in measured]),
            units.get(quantity, ""),
        )
        for condition, quantities in measured[0].items()
        for quantity in quantities
    )


def over_seeds(numbers: Sequence[float], level: float = 0.95) -> Interval:
    """Return the mean over seeds with Student's t interval: mean +- t_{n-1} s / sqrt(n).

    Seeds are few, so the bootstrap would be too sure of itself. With fewer than two the ends are
    NaN, and no claim on them holds; so they are where a seed measured no finite number. Where all
    are shares, the trials of all seeds are pooled and the interval is Clopper and Pearson's.

    Args:
        numbers: one per seed; for a difference, the difference within each seed.
        level: confidence level, in (0, 1).
    """
    shares = [number for number in numbers if isinstance(number, Share)]
    if shares and len(shares) == len(numbers):
        # Imported here: the verb's help needs no numpy.
        from accordant.statistics.estimates import clopper_pearson_interval

        count, trials = sum(s.count for s in shares), sum(s.trials for s in shares)
        return clopper_pearson_interval(count, trials, level)
    count = len(numbers)
    if count < 2 or not all(map(math.isfinite, numbers)):
        estimate = statistics.fmean(numbers) if count else float("nan")
        return Interval(estimate, float("nan"), float("nan"), count, level)
    from scipy.stats import t

    mean = statistics.fmean(numbers)
    half = float(t.ppf((1 + level) / 2, count - 1)) * statistics.stdev(numbers) / count**0.5
    return Interval(mean, mean - half, mean + half, count, level)


def power_of_t(effect: float, count: int, level: float = 0.95) -> float:
    """Return the chance that Student's interval of `count` seeds lies above 0.

    Args:
        effect: the mean in standard deviations between seeds.
        count: seeds, at least two.
        level: of the interval.
    """
    from scipy.stats import nct, t

    critical = t.ppf((1 + level) / 2, count - 1)
    return float(nct.sf(critical, count - 1, effect * count**0.5))
