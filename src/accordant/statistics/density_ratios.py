"""How much commoner prompts are among wanted answers than among unwanted ones: density ratios.

Knows vectors of prompts and labels. Knows nothing of models, tokens or losses. The ratio
p(x | wanted) / p(x | unwanted) is the odds of a classifier of the two that takes both for equally
common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accordant.statistics.arrays import Floats

FOLDS = 5
# More rows than this, half of either label, add time and little precision to a linear classifier.
MOST_FITTED = 4096
# Inverse strengths of the L2 penalty that are tried on standardised vectors.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True, slots=True)
class DensityRatios:
    """Ratios by row, and how well the labels could be told from the prompts.

    Args:
        train: of the rows the classifier was made from, each by a classifier that has not seen its
            prompt.
        others: of further rows, by a classifier that has seen all.
        accuracy: share of prompts put on the right side, both labels counted alike, on prompts the
            classifier has not seen; 0.5 where it has found nothing, and then all ratios are 1.
    """

    train: tuple[float, ...]
    others: tuple[float, ...]
    accuracy: float


def estimate_density_ratios(
    vectors: Floats,
    wanted: Sequence[bool],
    prompts: Sequence[int],
    others: Floats,
    *,
    seed: int = 0,
) -> DensityRatios:
    """Estimate density ratios by cross-fitted logistic regression.

    The strength of the penalty is the one that predicts unseen prompts best. Where none predicts
    them better than a coin, the prompts say nothing of the label and every ratio is 1.

    Args:
        vectors: of every row's prompt, `[rows, width]`.
        wanted: label of every row.
        prompts: number of every row's prompt; rows with the same one are never on both sides.
        others: vectors of further rows, `[others, width]`; may be empty.
        seed: of the division into parts.

    Raises:
        ValueError: fewer than two different prompts of either label.
    """
    labels, groups = np.asarray(wanted, dtype=bool), np.asarray(prompts)
    counts = [len(set(groups[labels == side].tolist())) for side in (True, False)]
    if min(counts) < 2:
        raise ValueError(f"{counts[0]} and {counts[1]} different prompts: two of each are needed")
    parts = _parts(labels, groups, min(FOLDS, *counts), seed)
    tried = [(_unseen(vectors, labels, parts, penalty, seed), penalty) for penalty in PENALTIES]
    losses = [_balanced(-_log_chance(odds, labels), labels) for odds, _ in tried]
    best = int(np.argmin(losses))
    if losses[best] >= np.log(2):
        return DensityRatios((1.0,) * len(labels), (1.0,) * len(others), 0.5)
    odds, penalty = tried[best]
    beyond = np.zeros(0)
    if len(others):
        beyond = _fit(vectors, labels, penalty, seed).decision_function(others)
    return DensityRatios(
        train=tuple(np.exp(odds).tolist()),
        others=tuple(np.exp(beyond).tolist()),
        # Balanced, so that naming the commoner label is no merit.
        accuracy=_balanced((odds > 0) == labels, labels),
    )


def _parts(labels: NDArray[Any], groups: NDArray[Any], count: int, seed: int) -> list[Any]:
    """Split rows to learn from and predict, `count` times: whole prompts, labels in proportion."""
    from sklearn.model_selection import StratifiedGroupKFold  # type: ignore[import-untyped]

    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    folds = splitter.split(np.zeros((len(labels), 1)), labels, groups)
    # A classifier needs both labels to learn from.
    return [fold for fold in folds if len(set(labels[fold[0]].tolist())) == 2]


def _unseen(
    vectors: Floats, labels: NDArray[Any], parts: list[Any], penalty: float, seed: int
) -> Floats:
    """Predict log-odds of every row by a classifier that has not seen its prompt, `[rows]`.

    Rows that no part can predict, as all others have one label, get 0.
    """
    odds = np.zeros(len(labels))
    for learnt, predicted in parts:
        model = _fit(vectors[learnt], labels[learnt], penalty, seed)
        odds[predicted] = model.decision_function(vectors[predicted])
    return odds


def _fit(vectors: Floats, labels: NDArray[Any], penalty: float, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
    from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

    rows = np.arange(len(labels))
    if len(rows) > MOST_FITTED:
        chooser = np.random.default_rng(seed)
        shares = [chooser.permutation(rows[labels == side]) for side in (True, False)]
        rows = np.concatenate([share[: MOST_FITTED // 2] for share in shares])
    # Balanced: odds of labels taken for equally common are the ratio of the densities.
    regression = LogisticRegression(C=penalty, class_weight="balanced", max_iter=2000)
    return make_pipeline(StandardScaler(), regression).fit(vectors[rows], labels[rows])


def _log_chance(odds: Floats, labels: NDArray[Any]) -> Floats:
    """Return the log-probability given to each row's own label."""
    signed: Floats = np.where(labels, odds, -odds)
    return -np.logaddexp(0.0, -signed)


def _balanced(values: NDArray[Any], labels: NDArray[Any]) -> float:
    """Average `values`, both labels counted alike."""
    return float((values[labels].mean() + values[~labels].mean()) / 2)
