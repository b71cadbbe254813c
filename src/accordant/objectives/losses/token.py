"""Losses that weigh every token by itself.

Knows scores. Knows nothing of models, tokenizers or trainers. In formulas p_t = pi(y_t | x, y_<t)
is what the policy gives token t of an answer, and q_t = pi(y_t | x, j, y_<t) what it gives the same
token when it has also read the judgment j.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accordant.base.options import NonNegative, Positive
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.judgment import JudgmentScores
from accordant.objectives.numerics import where
from accordant.objectives.registry import objective

if TYPE_CHECKING:
    from torch import Tensor

# Stands for 1 - p where p is 1 to the last bit, as in the authors' code.
LEAST_REST = 1e-5


@objective(
    needs_reference=False,
    labels=(True, False),
    paper="arXiv:2312.14591 Reasons to Reject? Aligning Language Models with Judgments",
    formula="judged bad: (mean_t -log q_t + mean_t c_t) / 2, c_t = -alpha log(1 - p_t) where "
    "q_t / p_t > threshold, else -log p_t; judged good: mean_t -log p_t",
)
def cut(
    judgments: JudgmentScores, *, threshold: Positive = 1.1, alpha: NonNegative = 1.0
) -> LossOutput:
    """Contrastive unlikelihood training: the tokens a judgment explains are made unlikely.

    A token that becomes more likely once the judgment is known is one the judgment complains of.
    Without the judgment it is pushed down by unlikelihood; all other tokens are imitated. Given the
    judgment, an answer judged bad is imitated too, which keeps the contrast sharp. An answer judged
    good is imitated without its judgment. Which tokens are flagged is decided by the policy of the
    moment. Averages are over an answer's own tokens, and every answer counts the same: the authors'
    scripts give a device one answer at a time. The authors' online setting is a threshold of 1.1
    with alpha 1, their offline one 1.2 with 0.5.

    Args:
        threshold: a token is flagged when the judgment multiplies its probability by more than
            this; larger flags fewer.
        alpha: weight of flagged tokens.
    """
    flagged = complained_of(judgments, threshold)
    plain, judged = judgments.plain.policy, judgments.judged.policy
    # The paper weighs by a power of the token's probability; the authors' code, and this, by alpha.
    unlikelihood = -alpha * log_rest(plain.logps)
    contrast = plain.mean_tokens(where(flagged, unlikelihood, -plain.logps))
    losses = where(judgments.good, contrast, (contrast - judged.mean()) / 2)
    share = plain.mean_tokens(flagged.to(losses.dtype)).detach()
    return LossOutput(losses, metrics={"flagged": share})


def complained_of(judgments: JudgmentScores, threshold: float) -> Tensor:
    """Find the tokens of bad answers that the judgment makes likelier by more than `threshold`.

    Returns:
        bool `[tokens]`, without gradient.
    """
    plain, judged = judgments.plain.policy, judgments.judged.policy
    ratio = (judged.logps.detach() - plain.logps.detach()).exp()
    return (ratio > threshold) & ~judgments.good[plain.owner]


def log_rest(logps: Tensor) -> Tensor:
    """Compute log(1 - p) from log p, with a finite value and gradient at p = 1."""
    rest = -logps.expm1()
    # Added only where it is 0, so that all other numbers, and their gradients, stay exact.
    return (rest + LEAST_REST * (rest == 0)).log()
