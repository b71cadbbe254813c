"""Losses on comparisons that were derived here, from the lattice of `objectives.logic`.

Knows scores. Knows nothing of formulas: what a loss means, and that it is the loss its structure
compiles to, stands in `logic.readings` and is tested.
"""

from __future__ import annotations

from accordant.objectives._math import join, log_add, log_complement, log_sigmoid
from accordant.objectives.inputs import LossOutput, PairwiseScores
from accordant.objectives.options import Positive
from accordant.objectives.registry import objective


@objective(
    name="retain_dpo",
    slug="preference-logic",
    feedback="comparison",
    needs_reference=True,
    paper="none: derived here with the method of arXiv:2412.17696, not published",
    formula="-log sigmoid(beta log[p_w r_l / (r_w (1 - p_w + p_w p_l))]), "
    "p and r the token means of pi and ref as probabilities",
)
def retain_dpo(pairs: PairwiseScores, *, beta: Positive = 2.0) -> LossOutput:
    """DPO that also asks the policy to keep what the reference deemed valid.

    DPO prefers the worlds where the policy accepts the chosen and the reference the rejected answer
    (M_w and R_l) to those the other way round (M_l and R_w). It says nothing of a policy that
    accepts neither, so both answers may lose probability while the margin grows. Here the worlds
    where the reference accepts the chosen answer and the policy does not (R_w and not M_w) are
    dispreferred too, so that R_w -> M_w is asked for: the structure entails that of length-
    normalised DPO, and the loss is nowhere smaller. Per unit of log-probability the chosen answer
    is pushed up 1 / (p_w p_l) times as hard as the rejected one is pushed down, in DPO as hard.

    Probabilities are per token (geometric mean): those of whole answers are so small that
    1 - p_w + p_w p_l would be 1, and the rejected answer would not count.

    Args:
        beta: scale of the log-ratio of the two counts; as in `ln_dpo`, larger than DPO's, since a
            mean over tokens moves less than a sum.
    """
    chosen, rejected = pairs.chosen.policy.mean(), pairs.rejected.policy.mean()
    moved_chosen, moved_rejected = (
        side.log_ratio() / side.policy.lengths for side in (pairs.chosen, pairs.rejected)
    )
    reference_rejected = (rejected - moved_rejected).detach()
    # log(1 - p_w + p_w p_l): the policy refuses the chosen answer, or accepts both.
    fails = log_add(log_complement(chosen), chosen + rejected)
    losses = -log_sigmoid(beta * (moved_chosen + reference_rejected - fails))
    return LossOutput(losses, beta * join([moved_chosen, moved_rejected]).detach())
