"""Repeating a measurement over seeds, and laying it out for a report.

Knows numbers by condition and quantity. Knows nothing of how they were measured; verdicts are
`catalogue.reproduce`'s, from differences within each seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from accordant_studies.reproduce import Measurement, over_seeds

Measured = Mapping[str, Mapping[str, float]]
"""What one seed gives: condition -> quantity -> number."""


@dataclass(frozen=True, slots=True)
class Study:
    """One measurement per seed, in the order of `seeds`."""

    seeds: tuple[int, ...]
    measured: tuple[Measured, ...]

    def values(self, condition: str, quantity: str) -> list[float]:
        """One number per seed."""
        return [measured[condition][quantity] for measured in self.measured]

    def rows(self, units: Mapping[str, str] | None = None) -> tuple[Measurement, ...]:
        """Every condition and quantity with its interval over seeds.

        Args:
            units: unit of each quantity; none where it is not named.
        """
        named = units or {}
        return tuple(
            Measurement(
                condition, name, over_seeds(self.values(condition, name)), named.get(name, "")
            )
            for condition, quantities in self.measured[0].items()
            for name in quantities
        )


def repeat(measure: Callable[[int], Measured], seeds: Sequence[int]) -> Study:
    """Call `measure(seed)` for every seed, one after the other."""
    return Study(tuple(seeds), tuple(measure(seed) for seed in seeds))


def at_distance(frontier: Iterable[tuple[float, float]], distance: float) -> float:
    """Gold at a distance from the start, read off a line through the points of a frontier.

    Args:
        frontier: points of distance and gold, in any order.
        distance: where to read; nan where the frontier does not reach, so that no check holds.
    """
    distances, golds = zip(*sorted(frontier), strict=True)
    return float(np.interp(distance, distances, golds, left=np.nan, right=np.nan))
