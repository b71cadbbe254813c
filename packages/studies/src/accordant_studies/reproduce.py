"""Running a paper's claim in miniature and judging whether its shape shows.

Knows claims, measurements and their intervals. Knows no system: a record names the function that
measures. A reproduction never compares with a number of the paper; it checks signs, orders and
trends, each with an interval over seeds, and says yes only when every part holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from accordant.base.errors import UserError
from accordant.catalogue.system import System
from accordant_studies.study import JudgedClaim as Check
from accordant_studies.study import Reproduction, Study, over_seeds
from accordant_studies.study import ResultRow as Measurement

__all__ = ["Check", "Measurement", "Reproduction", "beats", "not_worse", "over_seeds"]


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
    if system.reproduce.endswith(":study"):
        study: Study = function()
        return study.run(seeds)
    return function(None if seeds is None else tuple(seeds))


def resolve(reference: str) -> Callable[..., Any]:
    """The function that `module:function` names."""
    module, _, name = reference.partition(":")
    function = getattr(import_module(module), name)
    if not callable(function):
        raise TypeError(f"{reference} is not a function")
    return function


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
