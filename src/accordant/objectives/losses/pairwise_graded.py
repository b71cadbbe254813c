"""Losses on comparisons that say how sure they are: votes of several people, or scores.

Knows scores of models, votes and reward gaps. Knows nothing of models, tokenizers or trainers. In
formulas h = log pi(y|x) - log ref(y|x), summed over the answer's tokens, and
m = h(chosen) - h(rejected).
"""

from __future__ import annotations

import math

from accordant.base.options import NonNegative, Positive
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.pairwise import implicit_rewards
from accordant.objectives.numerics import log_sigmoid
from accordant.objectives.preparations import RewardGaps, Votes
from accordant.objectives.registry import Beta, objective


@objective(
    needs_reference=True,
    prepare=(Votes(),),
    paper="arXiv:2405.15230 iREPO: implicit Reward Pairwise Difference based Empirical Preference "
    "Optimization",
    formula="(beta m - log(p / (1 - p)))^2, p = (votes for chosen + s) / (votes + 2 s), "
    "s = smoothing",
)
def irepo(pairs: PairwiseScores, *, beta: Beta = 0.1, smoothing: Positive = 1.0) -> LossOutput:
    """Regression on soft preferences: the margin of implicit rewards becomes the votes' log-odds.

    The share of people who preferred the chosen answer is smoothed, since one voice would ask for
    an infinite margin; a pair without votes counts as one vote for its choice. Train in rounds,
    each with answers of the policy of the round before, which becomes the reference.

    Args:
        smoothing: votes added to each side (Laplace); larger trusts few votes less.
    """
    chosen, rejected = pairs.log_ratios()
    votes = pairs.attached.numbers.get("votes")
    if votes is None:
        # No pair of the batch has votes: one for the choice, log((1 + s) / s).
        target = chosen.new_tensor(math.log1p(1 / smoothing)).expand_as(chosen)
    else:
        shares = (votes + smoothing).log()
        target = shares[:, 0] - shares[:, 1]
    # beta^2 times the published (m - logit p / beta)^2: beta does not change the size of a step.
    losses = (beta * (chosen - rejected) - target) ** 2
    metrics = {"target": target.detach()}
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta), metrics)


@objective(
    slug="mm-rlhf",
    needs_reference=True,
    prepare=(RewardGaps(),),
    paper="arXiv:2502.10391 MM-RLHF: The Next Step Forward in Multimodal LLM Alignment",
    formula="-log sigmoid(b m), b = beta (1 + weight (1 - exp(-rate max(0, gap))))",
)
def mm_dpo(
    pairs: PairwiseScores,
    *,
    beta: Beta = 0.1,
    weight: NonNegative = 0.5,
    rate: Positive = 0.5,
) -> LossOutput:
    """DPO with dynamic reward scaling: the clearer a pair, the larger its beta.

    b runs from beta, where both answers are rated alike, to beta (1 + weight): pairs of high
    quality get more of the gradient. A pair rated the other way round keeps beta. How wide the
    scores spread decides which rate is right; both defaults are our choice.

    Args:
        weight: by how much beta can grow; 0 is DPO.
        rate: how fast it grows with the gap, per unit of the scores.
    """
    chosen, rejected = pairs.log_ratios()
    # A pair rated the other way round keeps beta, rather than one below it.
    gaps = pairs.attached.number("reward_gap").clamp(min=0)
    scaled = beta * (1 - weight * (-rate * gaps).expm1())
    # The scale carries no gradient, as gaps are data; rewards are reported at it.
    losses = -log_sigmoid(scaled * (chosen - rejected))
    metrics = {"beta": scaled.detach()}
    return LossOutput(losses, implicit_rewards(chosen, rejected, scaled), metrics)
