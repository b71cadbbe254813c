"""Losses on comparisons that judge each answer for itself against the reference, not only the pair.

Knows scores. Knows nothing of models, tokenizers or trainers. In formulas
h = log pi(y|x) - log ref(y|x), summed over the answer's tokens, w is the chosen and l the rejected
answer.
"""

from __future__ import annotations

from accordant.base.options import Positive
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.pairwise import implicit_rewards
from accordant.objectives.numerics import log_sigmoid
from accordant.objectives.registry import Beta, objective

APO = (
    "arXiv:2408.06266 Anchored Preference Optimization and Contrastive Revisions: Addressing "
    "Underspecification in Alignment"
)


@objective(
    needs_reference=True,
    paper=f"{APO}, eq. 7",
    formula="1 - sigmoid(beta h(w)) + sigmoid(beta h(l))",
)
def apo_zero(pairs: PairwiseScores, *, beta: Beta = 0.1) -> LossOutput:
    """Anchored preference optimisation, zero: raise the chosen, lower the rejected answer.

    Both are anchored at the reference, so neither can drift with the other. For chosen answers
    that are better than what the model says itself.
    """
    chosen, rejected = pairs.log_ratios()
    # 1 - sigmoid(x) = sigmoid(-x), without the cancellation.
    losses = (-beta * chosen).sigmoid() + (beta * rejected).sigmoid()
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))


@objective(
    needs_reference=True,
    paper=f"{APO}, eq. 8",
    formula="sigmoid(beta h(w)) + 1 - sigmoid(beta (h(w) - h(l)))",
)
def apo_down(pairs: PairwiseScores, *, beta: Beta = 0.1) -> LossOutput:
    """Anchored preference optimisation, down: lower both answers, the rejected one further.

    For models that are already better than the chosen answers.
    """
    chosen, rejected = pairs.log_ratios()
    losses = (beta * chosen).sigmoid() + (beta * (rejected - chosen)).sigmoid()
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))


@objective(
    needs_reference=True,
    paper="arXiv:2405.00675 Self-Play Preference Optimization for Language Model Alignment, "
    "eq. 4.7",
    formula="(h(w) - 1 / (2 beta))^2 + (h(l) + 1 / (2 beta))^2",
)
def sppo(pairs: PairwiseScores, *, beta: Positive = 0.001) -> LossOutput:
    """Self-play preference optimisation: each log-ratio is drawn to its own win rate over one half.

    Win rates are 1 and 0, as the labels say (TRL's `sppo_hard`); the paper estimates them by a
    preference model. 1 / beta is the paper's eta, 1000. As in the paper, the reference should be
    the policy of the round before.

    Args:
        beta: strength of the pull towards the reference; the targets are +-1 / (2 beta) nats.
    """
    chosen, rejected = pairs.log_ratios()
    # Win rates of 1 and 0 for an estimate by a preference model: the paper's eta (P - 1/2).
    losses = (chosen - 0.5 / beta) ** 2 + (rejected + 0.5 / beta) ** 2
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))


@objective(
    needs_reference=True,
    paper="arXiv:2402.05369 Noise Contrastive Alignment of Language Models with Explicit Rewards",
    formula="-log sigmoid(beta h(w)) - 0.5 log sigmoid(-beta h(w)) - 0.5 log sigmoid(-beta h(l))",
)
def nca(pairs: PairwiseScores, *, beta: Beta = 0.1) -> LossOutput:
    """Noise contrastive alignment: the chosen answer's likelihood rises, but not without end.

    Each answer is told from a sample of the reference by itself, so the chosen one cannot fall
    together with the rejected one. Its reward has a finite optimum, beta h(w) = log 2. TRL's name
    is `nca_pair`.
    """
    chosen, rejected = pairs.log_ratios()
    # Each answer stands as a noise sample too, which bounds the chosen one's reward.
    losses = -log_sigmoid(beta * chosen)
    losses = losses - 0.5 * (log_sigmoid(-beta * chosen) + log_sigmoid(-beta * rejected))
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))
