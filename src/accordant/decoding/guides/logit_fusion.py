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
    large, base, *experts = (row.log_softmax(-1) for row in logits)
    shifts = [expert - base for expert in experts]
    weights = fusion_weights(large, shifts, base, mix, largest)
    moves = (a[..., None] * shift for a, shift in zip(weights, shifts, strict=True))
    return sum(moves, start=large)


def fusion_weights(
    large: Tensor, shifts: Sequence[Tensor], base: Tensor, mix: Mix, largest: float
) -> list[Tensor]:
    """Return every expert's weight, `[rows]`, from log-probs `[rows, vocabulary]` and shifts."""
    targets = [((base + shift).exp() * shift).sum(-1) for shift in shifts]
    weights = [_solve(large, d, c, largest) for d, c in zip(shifts, targets, strict=True)]
    if mix == "centroid":
        # The sum of squared errors over experts is one equation for all weights: ill-posed.
        total = sum(targets, start=targets[0].new_tensor(FLAT * FLAT))
        return [a * c / total for a, c in zip(weights, targets, strict=True)]
    for _ in range(ROUNDS if mix == "marginal" and len(shifts) > 1 else 0):
        for t, (shift, target) in enumerate(zip(shifts, targets, strict=True)):
            moves = (a[..., None] * d for a, d in zip(weights, shifts, strict=True))
            others = sum(moves, start=large) - weights[t][..., None] * shift
            weights[t] = _solve(others.log_softmax(-1), shift, target, largest)
    return weights


def _solve(start: Tensor, shift: Tensor, target: Tensor, largest: float) -> Tensor:
    """Solve KL(P_a || P) = target for a, `[rows]`, with P_a proportional to P exp(a shift).

    The divergence rises with a, so that Newton's steps inside a closing bracket find the root;
    where `largest` falls short of it, that is the answer.
    """
    low, high, most = target * 0, target * 0 + largest, target.new_tensor(largest)
    within = _divergence(start, shift, high)[0] > target
    weight = high.clamp(max=1.0)
    for _ in range(STEPS):
        divergence, slope = _divergence(start, shift, weight)
        error = divergence - target
        done = (error.abs() <= FLAT + FLAT * target) | ~within
        # Three steps do, and each is a softmax: worth asking the device how far it is.
        if bool(done.all()):
            break
        low, high = low.where(error > 0, weight), weight.where(error > 0, high)
        step = weight - error / slope.clamp(min=FLAT * FLAT)
        step = step.where((step >= low) & (step <= high), (low + high) / 2)
        # A row that is done stays: no other row's steps may change what is drawn in it.
        weight = weight.where(done, step)
    return weight.where(within, most).where(target >= FLAT, most.clamp(max=1.0))


def _divergence(start: Tensor, shift: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return KL(P_a || P) = a E_a[d] - log Z(a) and its slope a Var_a[d], both `[rows]`."""
    tilted = start + weight[..., None] * shift
    chances = tilted.softmax(-1)
    mean = (chances * shift).sum(-1)
    spread = (chances * (shift - mean[..., None]).square()).sum(-1)
    return weight * mean - tilted.logsumexp(-1), weight * spread
