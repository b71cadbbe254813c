"""Losses on comparisons: one answer was preferred to another.

Knows scores. Knows nothing of models, tokenizers or trainers. In formulas pi is the policy, ref the
frozen reference, L the log-probability of an answer summed over its tokens,
h = L_pi(y|x) - L_ref(y|x), and m = h(chosen) - h(rejected).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accordant.objectives._math import join, log_sigmoid
from accordant.objectives.inputs import LossOutput, PairwiseScores
from accordant.objectives.options import HalfOpenHalf, Positive
from accordant.objectives.registry import objective

if TYPE_CHECKING:
    from torch import Tensor


@objective(
    name="dpo",
    feedback="comparison",
    needs_reference=True,
    paper="arXiv:2305.18290 Direct Preference Optimization: Your Language Model is Secretly a "
    "Reward Model, eq. 7",
    formula="-(1 - e) log sigmoid(beta m) - e log sigmoid(-beta m), e = label_smoothing",
)
def dpo(
    pairs: PairwiseScores, *, beta: Positive = 0.1, label_smoothing: HalfOpenHalf = 0.0
) -> LossOutput:
    """Direct preference optimisation: logistic loss on the margin of implicit rewards.

    With label smoothing it is conservative DPO (Mitchell, 'A note on DPO with noisy preferences',
    2023): labels are taken to be wrong with probability `label_smoothing`, and the loss is least at
    a finite margin, m = log((1 - e) / e) / beta.

    Args:
        beta: strength of the pull towards the reference; larger stays nearer to it.
        label_smoothing: assumed share of comparisons labelled the wrong way round.
    """
    chosen, rejected = pairs.chosen.log_ratio(), pairs.rejected.log_ratio()
    logits = beta * (chosen - rejected)
    losses = -(1 - label_smoothing) * log_sigmoid(logits) - label_smoothing * log_sigmoid(-logits)
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))


@objective(
    name="ipo",
    feedback="comparison",
    needs_reference=True,
    paper="arXiv:2310.12036 A General Theoretical Paradigm to Understand Learning from Human "
    "Preferences, eq. 17",
    formula="(m - 1 / (2 tau))^2",
)
def ipo(pairs: PairwiseScores, *, tau: Positive = 0.1) -> LossOutput:
    """Identity preference optimisation: the margin is drawn to 1 / (2 tau), and not beyond.

    Log-ratios are summed over tokens, as the equation has them. TRL divides each by its answer's
    length first, so the same number there draws a mean, not a sum, to the target.

    Args:
        tau: strength of the pull towards the reference; the target margin is 1 / (2 tau) nats.
    """
    chosen, rejected = pairs.chosen.log_ratio(), pairs.rejected.log_ratio()
    losses = (chosen - rejected - 1 / (2 * tau)) ** 2
    return LossOutput(losses, implicit_rewards(chosen, rejected, tau))


def implicit_rewards(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    """beta h of all chosen, then of all rejected answers, `[2n]`, without gradient."""
    return beta * join([chosen, rejected]).detach()
