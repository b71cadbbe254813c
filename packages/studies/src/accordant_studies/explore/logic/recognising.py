"""From the numbers a loss returns to the structure it is the loss of, without its equation.

Knows how to evaluate a registered loss, and linear algebra. Knows no equation of any loss: what is
found here is independent of what `readings` says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from accordant_studies.explore.logic.compiling import Term
from accordant_studies.explore.logic.formulas import connect, parse
from accordant_studies.explore.logic.links import Link, hinge, logistic
from accordant_studies.explore.logic.structures import Structure, from_tables, prefer

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from accordant.objectives.kinds.comparison import PairwiseScores
    from accordant.objectives.registry import Objective

    Numbers = NDArray[np.float64]

_NAMES = ("M_w", "M_l", "R_w", "R_l")
_SAMPLES = 240
_EXACT = 1e-7  # singular values and rounded coefficients below this count as zero


def recognise(objective: Objective, options: Mapping[str, Any]) -> Term | None:
    """Return the one-term logistic or hinge loss that a pairwise objective is, if it is one.

    The loss is evaluated at random probabilities of four propositions. Undoing the link gives
    log(N / D) for unknown polynomials N and D; N - exp(log-ratio) D = 0 is linear in the weights
    they give to the sixteen worlds, so its null space is computed. If it has one dimension, and the
    weights on each side are all equal where they are not zero, the loss has a formula. The factor
    between the two sides is the margin.

    Args:
        objective: takes `PairwiseScores`.
        options: from `bind_options`; an option called `beta` is taken for the scale of the ratio.

    Returns:
        the term, verified on fresh scores; None when no formula was found.
    """
    beta = float(options.get("beta", 1.0))
    for name, undo in _UNDONE.items():
        for per_token in (False, True):
            found = _solve(objective, options, undo, beta, per_token)
            if found is None:
                continue
            structure, factor = found
            if name == "hinge":
                term = Term(structure, hinge(beta, -beta * factor), per_token=per_token)
            else:
                term = _with_margin(structure, factor, logistic(beta), per_token)
            if _agrees(objective, options, term):
                return term
    return None


def _undo_logistic(loss: Numbers) -> Numbers:
    return np.asarray(-np.log(np.expm1(loss)))


_UNDONE: dict[str, Callable[[Numbers], Numbers]] = {
    "logistic": _undo_logistic,
    "hinge": lambda loss: -loss,
}


def _solve(
    objective: Objective,
    options: Mapping[str, Any],
    undo: Callable[[Numbers], Numbers],
    beta: float,
    per_token: bool,
) -> tuple[Structure, float] | None:
    """Return the structure and log of the factor between its sides, or None."""
    chances = np.random.default_rng(0).uniform(0.05, 0.95, (_SAMPLES, len(_NAMES)))
    losses = _losses(objective, options, random_pairs(chances, per_token))
    usable = np.isfinite(losses) & (losses > 1e-9)  # a hinge says nothing where it is flat
    if usable.sum() < _SAMPLES // 4:
        return None
    with np.errstate(all="ignore"):
        log_ratio = undo(losses[usable]) / beta
        shift = float(np.median(log_ratio))  # a margin must not spoil the condition of the system
        ratio = np.exp(log_ratio - shift)
    chances = chances[usable]
    if not np.isfinite(ratio).all() or ratio.max() > 1e12:
        return None
    relevant = _relevant(objective, options, per_token)
    if not relevant:
        return None
    worlds = _world_weights(chances[:, relevant])
    system = np.hstack([worlds, -ratio[:, None] * worlds])
    system /= np.linalg.norm(system, axis=1, keepdims=True)
    _, sizes, rows = np.linalg.svd(system, full_matrices=False)
    if sizes[-1] > _EXACT * sizes[0] or sizes[-2] < 100 * _EXACT * sizes[0]:
        return None
    found = _read_sides(rows[-1], tuple(_NAMES[k] for k in relevant))
    return None if found is None else (found[0], found[1] + shift)


def _read_sides(solution: Numbers, names: tuple[str, ...]) -> tuple[Structure, float] | None:
    """Return tables and log-factor from the null vector, when each side is 0 or one constant."""
    above, below = np.split(solution / solution[np.abs(solution).argmax()], 2)
    tables, levels = [], []
    for side in (above, below):
        level = side.max()
        if level < 1e-6 or not all(min(abs(v), abs(v - level)) < 1e-5 * level for v in side):
            return None
        tables.append(sum(1 << i for i, value in enumerate(side) if value > level / 2))
        levels.append(level)
    return from_tables(tables[0], tables[1], names), float(np.log(levels[0] / levels[1]))


def _with_margin(structure: Structure, factor: float, link: Link, per_token: bool) -> Term:
    """Return the term of a structure whose preferred side is multiplied by exp(factor)."""
    if abs(factor) < 1e-6:
        return Term(structure, link, per_token=per_token)
    margin = parse("G")
    preferred, dispreferred = structure.preferred, structure.dispreferred
    if factor < 0:
        preferred = connect("And", preferred, margin)
    else:
        dispreferred = connect("And", dispreferred, margin)
    return Term(prefer(preferred, dispreferred), link, 1.0, per_token, abs(factor))


def _relevant(objective: Objective, options: Mapping[str, Any], per_token: bool) -> list[int]:
    """Return propositions whose probability the loss depends on."""
    base = np.random.default_rng(1).uniform(0.05, 0.95, (8, len(_NAMES)))
    start = _losses(objective, options, random_pairs(base, per_token))
    found = []
    for k in range(len(_NAMES)):
        moved = base.copy()
        moved[:, k] = 1 - moved[:, k]
        if not np.allclose(_losses(objective, options, random_pairs(moved, per_token)), start):
            found.append(k)
    return found


def _world_weights(chances: Numbers) -> Numbers:
    """Return weight of every world, `[samples, worlds]`, with bit k of a world for column k."""
    worlds = []
    for world in itertools.product((0, 1), repeat=chances.shape[1]):
        holds = np.array(world[::-1], dtype=bool)
        worlds.append(np.where(holds, chances, 1 - chances).prod(1))
    return np.stack(worlds, 1)


def random_pairs(chances: Numbers, per_token: bool) -> PairwiseScores:
    """Return scores of pairs whose propositions have these probabilities, `[n, 4]`, in float64.

    With `per_token`, answers have two and three tokens and the probability is their mean's.
    """
    import torch

    from accordant.objectives.inputs import Sequences
    from accordant.objectives.kinds.comparison import PairwiseScores
    from accordant.scoring.scores import from_lists

    def scores(column: int, tokens: int) -> Any:
        times = tokens if per_token else 1
        return from_lists(
            [[float(np.log(p)) * times / tokens] * tokens for p in chances[:, column]],
            dtype=torch.float64,
        )

    return PairwiseScores(
        Sequences(scores(0, 2), scores(2, 2)), Sequences(scores(1, 3), scores(3, 3))
    )


def _losses(objective: Objective, options: Mapping[str, Any], pairs: PairwiseScores) -> Numbers:
    from accordant.objectives.batch import evaluate

    losses: Tensor = evaluate(objective, pairs, options).losses
    return np.asarray(losses.detach().numpy(), dtype=np.float64)


def _agrees(objective: Objective, options: Mapping[str, Any], term: Term) -> bool:
    """Say whether the compiled term gives the objective's losses on scores it was not found on."""
    chances = np.random.default_rng(2).uniform(0.02, 0.98, (64, len(_NAMES)))
    pairs = random_pairs(chances, term.per_token)
    return np.allclose(term.loss(pairs).numpy(), _losses(objective, options, pairs), atol=1e-6)
