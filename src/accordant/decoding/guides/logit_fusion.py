"""Dynamic logit fusion: small experts' weights from an equation of divergences at every token.

Knows the logits of several models. Knows no model and no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from accordant.base.options import Positive
from accordant.decoding.guides.registry import guide

if TYPE_CHECKING:
    from torch import Tensor

Mix = Literal["centroid", "marginal", "independent"]
FLAT, STEPS, ROUNDS = 1e-6, 30, 4  # nats; most steps of the solver; sweeps over the experts


@guide(
    name="logit_fusion",
    models=("large", "small base", "expert..."),
    paper="Fan et al. 2024 (arXiv 2406.15480): the equation; how experts are mixed is derived here",
    formula="softmax(log P + sum_t a_t (log T_t - log S)), a_t from KL(P~ || P) = KL(T_t || S)",
)
def logit_fusion(
    logits: Sequence[Tensor], *, mix: Mix = "centroid", largest: Positive = 2.0
) -> Tensor:
    """Move a large model as far as tuning moved small ones, anew at every token.

    Args:
        mix: of several experts: `centroid` weighs each one's own solution by its divergence,
            `independent` adds the solutions, `marginal` solves for each given all others.
        largest: weight an expert may have at most.
    """
    import torch

    large, base, *experts = (row.log_softmax(-1) for row in logits)
    shifts = torch.stack(experts) - base
    return large + (fusion_weights(large, shifts, base, mix, largest)[..., None] * shifts).sum(0)


def fusion_weights(large: Tensor, shifts: Tensor, base: Tensor, mix: Mix, largest: float) -> Tensor:
    """Return weights `[experts, rows]` from log-probs `[rows, vocabulary]` and their shifts."""
    targets = ((base + shifts).exp() * shifts).sum(-1)
    weights = _solve(large, shifts, targets, largest)
    if mix == "centroid":
        # The sum of squared errors over experts is one equation for all weights: ill-posed.
        return weights * targets / (targets.sum(0) + FLAT * FLAT)
    for _ in range(ROUNDS if mix == "marginal" and len(shifts) > 1 else 0):
        for t, (shift, target) in enumerate(zip(shifts, targets, strict=True)):
            others = large + (weights[..., None] * shifts).sum(0) - weights[t][..., None] * shift
            weights[t] = _solve(others.log_softmax(-1), shift, target, largest)
    return weights


def _solve(start: Tensor, shift: Tensor, target: Tensor, largest: float) -> Tensor:
    """Solve KL(P_a || P) = target for a, like `target`, with P_a proportional to P exp(a shift)."""
    low, high = target * 0, target * 0 + largest
    # The divergence rises with a: where it falls short there, `largest` is the answer.
    within, weight = _divergence(start, shift, high)[0] > target, high.clamp(max=1.0)
    for _ in range(STEPS):
        divergence, slope = _divergence(start, shift, weight)
        error = divergence - target
        done = (error.abs() <= FLAT + FLAT * target) | ~within
        # Three steps do, and each is a softmax; a device would have to be waited for to see it.
        if weight.device.type == "cpu" and bool(done.all()):
            break
        low, high = low.where(error > 0, weight), weight.where(error > 0, high)
        step = weight - error / slope.clamp(min=FLAT * FLAT)
        step = step.where((step >= low) & (step <= high), (low + high) / 2)
        # A row that is done stays: no other row's steps may change what is drawn in it.
        weight = weight.where(done, step)
    weight = weight.where(within, largest)
    return weight.where(target >= FLAT, min(1.0, largest))


def _divergence(start: Tensor, shift: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return KL(P_a || P) = a E_a[d] - log Z(a) and its slope a Var_a[d], both like `weight`."""
    tilted = start + weight[..., None] * shift
    chances = tilted.softmax(-1)
    mean = (chances * shift).sum(-1)
    spread = (chances * (shift - mean[..., None]).square()).sum(-1)
    return weight * mean - tilted.logsumexp(-1), weight * spread
