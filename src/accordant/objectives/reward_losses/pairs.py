"""Losses that order two answers by one reward: Bradley-Terry and what is made of it.

Knows rewards and how much better the chosen answer was said to be. Knows nothing of models. In
formulas r is the reward, d = r(chosen) - r(rejected), m the strength of the preference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from accordant.base.options import NonNegative
from accordant.objectives.inputs import LossOutput
from accordant.objectives.numerics import log_sigmoid
from accordant.objectives.preparations import RewardGaps
from accordant.objectives.registry import objective
from accordant.objectives.reward_inputs import PairRewards

if TYPE_CHECKING:
    from torch import Tensor

Centring = Annotated[
    float,
    Field(ge=0.0, description="weight of (r_w + r_l)^2, which keeps rewards near zero."),
]


@objective(
    needs_reference=False,
    feedback="comparison",
    reads=("values",),
    paper="Bradley and Terry 1952; Ouyang et al. 2022, arXiv:2203.02155, eq. 1; centring: "
    "Eisenstein et al. 2023, arXiv:2312.09244",
    formula="-log sigmoid(d) + centring (r_w + r_l)^2; of ties: ties d^2 + centring (r_w + r_l)^2",
)
def bt(pairs: PairRewards, *, centring: Centring = 0.01, ties: NonNegative = 0.0) -> LossOutput:
    """Bradley-Terry: differences of rewards are log-odds of being preferred.

    Args:
        ties: weight of d^2 of pairs said to be equally good; 0 leaves them out.
    """
    margins = pairs.chosen - pairs.rejected
    tied = pairs.gaps == 0
    losses = (-log_sigmoid(margins)).where(~tied, ties * margins**2)
    # A pair left out must not count among those the loss is averaged over either.
    weights = (~tied).to(losses) if ties == 0 else None
    return LossOutput(losses + _off_centre(pairs, centring), weights=weights)


@objective(
    needs_reference=False,
    feedback="comparison",
    reads=("values",),
    prepare=(RewardGaps(),),
    paper="Touvron et al. 2023, arXiv:2307.09288, eq. 2; Wang et al. 2024, arXiv:2410.01257",
    formula="-log sigmoid(d - m) + centring (r_w + r_l)^2",
)
def margin_bt(pairs: PairRewards, *, centring: Centring = 0.01) -> LossOutput:
    """Bradley-Terry with a margin: the stronger a preference, the further apart the rewards."""
    strength = pairs.attached.number("reward_gap")
    losses = -log_sigmoid(pairs.chosen - pairs.rejected - strength)
    # Of strength 0 neither is better, and the first named must not win by being first.
    weights = (strength != 0).to(losses)
    return LossOutput(losses + _off_centre(pairs, centring), weights=weights)


@objective(
    needs_reference=False,
    feedback="comparison",
    reads=("values",),
    prepare=(RewardGaps(),),
    paper="Wang et al. 2024, arXiv:2410.01257 HelpSteer2-Preference",
    formula="m (-log sigmoid(d) + centring (r_w + r_l)^2), divided by the sum of m",
)
def scaled_bt(
    pairs: PairRewards, *, centring: Centring = 0.01, normalise: bool = True
) -> LossOutput:
    """Scaled Bradley-Terry: a preference of strength m counts as m of them.

    Args:
        normalise: divide by the sum of m, so that a learning rate means what it means for `bt`;
            the authors' code divides by the number of pairs.
    """
    strength = pairs.attached.number("reward_gap").clamp(min=0)
    losses = -log_sigmoid(pairs.chosen - pairs.rejected) + _off_centre(pairs, centring)
    if not normalise:
        return LossOutput(strength * losses)
    return LossOutput(losses, weights=strength)


def _off_centre(pairs: PairRewards, centring: float) -> Tensor:
    """Return the penalty on the mean reward of a pair, which no comparison can tell, `[n]`."""
    penalty: Tensor = centring * (pairs.chosen + pairs.rejected) ** 2
    return penalty
