"""Link functions: how a loss falls in the log-ratio of what is preferred to what is not.

Knows numbers and tensors of ratios. Knows nothing of formulas or scores. All fall in the ratio,
the squared link up to its target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.objectives.numerics import log_sigmoid

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Link:
    """A function from the log-ratio rho, `[n]`, to the loss, `[n]`.

    Args:
        name: what it is called.
        formula: in plain text, of rho.
        apply: the function.
        scale: what rho is multiplied by first.
    """

    name: str
    formula: str
    apply: Callable[[Tensor], Tensor]
    scale: float = 1.0


def logistic(beta: float = 1.0, smoothing: float = 0.0) -> Link:
    """Return -log sigmoid(beta rho); with smoothing, a share of the labels is taken to be wrong.

    At beta 1 it is the semantic loss: -log of the preferred share of the two counts.
    """
    if smoothing == 0:
        return Link("logistic", f"-log sigmoid({_times(beta)})", _logistic(beta), beta)
    right, wrong = _logistic(beta), _logistic(-beta)
    formula = (
        f"-{1 - smoothing:g} log sigmoid({_times(beta)}) "
        f"- {smoothing:g} log sigmoid({_times(-beta)})"
    )
    return Link(
        "logistic, smoothed",
        formula,
        lambda rho: (1 - smoothing) * right(rho) + smoothing * wrong(rho),
        beta,
    )


def hinge(beta: float = 1.0, gap: float = 1.0) -> Link:
    """Return max(0, gap - beta rho)."""
    return Link(
        "hinge",
        f"max(0, {gap:g} - {_times(beta)})",
        lambda rho: (gap - beta * rho).clamp(min=0),
        beta,
    )


def squared(beta: float = 1.0, target: float = 1.0) -> Link:
    """Return (beta rho - target)^2: the ratio is drawn to a target, and not beyond."""
    return Link(
        "squared",
        f"({_times(beta)} - {target:g})^2",
        lambda rho: (beta * rho - target) ** 2,
        beta,
    )


def sigmoid(beta: float = 1.0) -> Link:
    """Return sigmoid(-beta rho): bounded, so that no example counts for more than any other."""
    return Link("sigmoid", f"sigmoid({_times(-beta)})", lambda rho: (-beta * rho).sigmoid(), beta)


def bent(name: str, formula: str, apply: Callable[[Tensor], Tensor], beta: float = 1.0) -> Link:
    """Return any other function of z = beta rho.

    Args:
        name: what it is called.
        formula: in plain text, of z.
        apply: the function of z.
        beta: scale.
    """
    return Link(name, f"{formula}, z = {_times(beta)}", lambda rho: apply(beta * rho), beta)


def _logistic(beta: float) -> Callable[[Tensor], Tensor]:
    return lambda rho: -log_sigmoid(beta * rho)


def _times(beta: float) -> str:
    return {1.0: "rho", -1.0: "-rho"}.get(beta, f"{beta:g} rho")
