"""Losses on answers to imitate.

Knows scores. Knows nothing of models, tokenizers or trainers.
"""

from __future__ import annotations

from accordant.objectives.inputs import DemonstrationScores, LossOutput
from accordant.objectives.registry import objective


@objective(
    name="sft",
    feedback="demonstration",
    needs_reference=False,
    paper="arXiv:2203.02155 Training language models to follow instructions with human feedback",
    formula="-sum_t log pi(y_t | x, y_<t) / (tokens of the batch)",
)
def sft(demonstrations: DemonstrationScores) -> LossOutput:
    """Supervised fine-tuning: the mean negative log-probability of an answer's tokens.

    Averaged over all tokens of the global batch, as elsewhere, not over answers: every example's
    loss is the mean over its own tokens and weighs as many as it has, so that neither packing nor
    gradient accumulation changes the average.
    """
    policy = demonstrations.completion.policy
    losses = -policy.mean()
    return LossOutput(losses, weights=policy.lengths.to(losses.dtype))
