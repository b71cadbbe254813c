"""Losses on comparisons that were derived here, from the lattice of `objectives.logic`.

Knows scores. Knows nothing of formulas: what a loss means, and that it is the loss its structure
compiles to, stands in `logic.readings` and is tested.
"""

from __future__ import annotations

from accordant.base.options import Positive
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.numerics import join, log_add, log_complement, log_sigmoid
from accordant.objectives.registry import objective


@objective(
    slug="preference-logic",
    needs_reference=True,
    paper="none: derived here with the method of arXiv:2412.17696, not published",
    formula="-log sigmoid(beta log[p_w r_l / (r_w (p_l + r_l (1 - p_w) (1 - p_l)))]), "
    "p and r the token means of pi and ref as probabilities",
)
def retain_dpo(pairs: PairwiseScores, *, beta: Positive = 2.0) -> LossOutput:
    """DPO that also disprefers to refuse both answers where the reference accepted both.

    DPO prefers the worlds where the policy accepts the chosen and the reference the rejected answer
    (M_w and R_l) to those the other way round (M_l and R_w). It says nothing of a policy that
    accepts neither, so both answers may lose probability while the margin grows. Here the worlds
    where the reference accepts both and the policy neither (R_w and R_l, not M_w, not M_l) are
    dispreferred too. The structure entails that of length-normalised DPO, so the loss is nowhere
    smaller. The chosen answer is always pushed harder than the rejected one, about twice as hard
    where policy and reference agree; once the rejected answer is well below the reference's
    probability it is let go, and the chosen one alone is raised.

    Args:
        beta: scale of the log-ratio of the two counts; as in `ln_dpo`, larger than DPO's, since a
            mean over tokens moves less than a sum.
    """
    # Probabilities per token (geometric means): of whole answers 1 - p would be 1, and the rejected
    # answer would be let go after a few nats.
    chosen, rejected = pairs.chosen.policy.mean(), pairs.rejected.policy.mean()
    moved_chosen, moved_rejected = (
        side.log_ratio() / side.policy.lengths for side in (pairs.chosen, pairs.rejected)
    )
    # log r_l, from what the pairs already have; the reference gets no gradient.
    accepted = (rejected - moved_rejected).detach()
    refused = log_complement(chosen) + log_complement(rejected)
    fails = log_add(rejected, accepted + refused)
    losses = -log_sigmoid(beta * (moved_chosen + accepted - fails))
    return LossOutput(losses, beta * join([moved_chosen, moved_rejected]).detach())
