"""Weighted model counting in log space: how much probability lies where a formula holds.

Knows truth tables and log-probabilities. Knows nothing of answers, scores or losses. Propositions
are independent, so a world weighs the product of p for those that hold and 1 - p for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from accordant.objectives.numerics import log_add, log_complement

if TYPE_CHECKING:
    from torch import Tensor


def log_count(table: int, names: Sequence[str], weights: Mapping[str, Tensor]) -> Tensor:
    """Return log of the summed weight of the worlds in a truth table, `[n]`.

    By Shannon expansion: count(f) = p count(f given v) + (1 - p) count(f given not v), and a
    proposition that f does not depend on is left out. So a formula that is a conjunction is counted
    as the sum of its logarithms, exactly, and what does not matter gets no gradient.

    Args:
        table: see `formulas`.
        names: propositions of the table.
        weights: log p of every proposition, `[n]`, at most 0.

    Raises:
        ValueError: the formula holds in no world.
    """
    found = _expand(table, tuple(names), weights, {})
    if found is False:
        raise ValueError("a formula that holds in no world weighs nothing")
    return next(iter(weights.values())) * 0 if found is True else found


def _expand(
    table: int,
    names: tuple[str, ...],
    weights: Mapping[str, Tensor],
    known: dict[tuple[int, int], Tensor | bool],
) -> Tensor | bool:
    """Return a table's log count: 0 where it holds everywhere, -inf where it holds nowhere."""
    worlds = 1 << len(names)
    if table in (0, (1 << worlds) - 1):
        return table != 0
    key = (len(names), table)
    if key not in known:
        half = worlds // 2
        without, given = table & ((1 << half) - 1), table >> half
        rest = names[:-1]
        if without == given:
            return _expand(given, rest, weights, known)
        log_p = weights[names[-1]]
        holds = _branch(log_p, _expand(given, rest, weights, known))
        fails = _branch(log_complement(log_p), _expand(without, rest, weights, known))
        parts = [part for part in (holds, fails) if part is not None]
        known[key] = parts[0] if len(parts) == 1 else log_add(parts[0], parts[1])
    return known[key]


def _branch(log_weight: Tensor, count: Tensor | bool) -> Tensor | None:
    if isinstance(count, bool):
        return log_weight if count else None
    return log_weight + count
