"""Guides of fixed weights: the same mixture of logits at every token.

Knows the logits of several models. Knows no model and no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accordant.base.options import NonNegative
from accordant.decoding.guides.registry import guide

if TYPE_CHECKING:
    from torch import Tensor


@guide(
    name="proxy_tuning",
    models=("large", "small base", "expert..."),
    paper="Liu et al. 2024 (arXiv 2401.08565)",
    formula="softmax(l + a sum_t (e_t - s))",
)
def proxy_tuning(logits: Sequence[Tensor], *, alpha: NonNegative = 1.0) -> Tensor:
    """Add to a large model what tuning changed in small ones.

    Args:
        alpha: weight of each expert's difference from the small base.
    """
    large, base, *experts = logits
    return large + alpha * sum((expert - base for expert in experts), start=large.new_zeros(()))


@guide(
    name="average",
    models=("model...",),
    paper="Hinton 2002, Training Products of Experts",
    formula="softmax(mean_k log p_k)",
)
def average(logits: Sequence[Tensor]) -> Tensor:
    """Average the models' log-probabilities."""
    return sum((row.log_softmax(-1) for row in logits), start=logits[0].new_zeros(())) / len(logits)
