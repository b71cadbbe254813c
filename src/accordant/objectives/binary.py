"""Losses on single answers with a thumb up or down.

Knows scores. Knows nothing of models, tokenizers or trainers. In formulas
h = log pi(y|x) - log ref(y|x), summed over the answer's tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accordant.objectives._math import where
from accordant.objectives.inputs import BinaryScores, LossOutput
from accordant.objectives.options import NonNegative, Positive
from accordant.objectives.registry import objective

if TYPE_CHECKING:
    from torch import Tensor


def mismatched_log_ratios(answers: BinaryScores, **options: object) -> Tensor:
    """h of every prompt with another example's answer, `[n, 1]`: a sample of KL(pi || ref).

    Raises:
        ValueError: the mismatched answers were not scored.
    """
    del options  # the same whatever the options are
    if answers.mismatched is None:
        raise ValueError("mismatched answers were not scored")
    return answers.mismatched.log_ratio().detach().unsqueeze(1)


@objective(
    name="kto",
    feedback="binary",
    needs_reference=True,
    mismatched=True,
    batch_means=mismatched_log_ratios,
    paper="arXiv:2402.01306 KTO: Model Alignment as Prospect Theoretic Optimization, eq. 8",
    formula="up: desirable_weight (1 - sigmoid(beta (h - z0))); "
    "down: undesirable_weight (1 - sigmoid(beta (z0 - h))); "
    "z0 = max(0, mean over the batch of h(x_i, y_j), j != i), without gradient",
)
def kto(
    answers: BinaryScores,
    *,
    means: Tensor,
    beta: Positive = 0.1,
    desirable_weight: NonNegative = 1.0,
    undesirable_weight: NonNegative = 1.0,
) -> LossOutput:
    """Kahneman-Tversky optimisation: raise wanted and lower unwanted answers past a zero point.

    The zero point z0 estimates how far the policy is from the reference on unrelated answers, so
    that only what exceeds a general drift counts as a gain or a loss. Each kind of answer weighs
    with its own weight; the losses are averaged over all answers, whatever their weight.

    Args:
        means: mean mismatched log-ratio over the global batch, `[1]`.
        beta: strength of the pull towards the reference; larger stays nearer to it.
        desirable_weight: weight of wanted answers.
        undesirable_weight: weight of unwanted answers.
    """
    zero_point = means[0].detach().nan_to_num(0.0).clamp(min=0)
    log_ratios = answers.completion.log_ratio()
    gains = desirable_weight * (beta * (zero_point - log_ratios)).sigmoid()
    pains = undesirable_weight * (beta * (log_ratios - zero_point)).sigmoid()
    losses = where(answers.desirable, gains, pains)
    return LossOutput(losses, beta * log_ratios.detach(), metrics={"kl": zero_point})
