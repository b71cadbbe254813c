"""Losses that read ratings: several attributes of an answer at once.

Knows values and ratings. Knows nothing of models.
"""

from __future__ import annotations

from accordant.objectives.inputs import LossOutput
from accordant.objectives.registry import objective
from accordant.objectives.reward_inputs import RatedRewards


@objective(
    needs_reference=False,
    feedback="rating",
    reads=("values",),
    paper="Wang et al. 2024, arXiv:2406.08673 HelpSteer2",
    formula="mean over the attributes that were rated of (v - rating)^2",
)
def regression(rated: RatedRewards) -> LossOutput:
    """Least squares on ratings; an attribute that nobody rated counts for nothing."""
    known = ~rated.ratings.isnan()
    # Before the square: the gradient of NaN times zero is NaN.
    errors = (rated.values - rated.ratings).where(known, 0.0)
    rates = known.sum(1)
    losses = (errors**2).sum(1) / rates.clamp(min=1)
    return LossOutput(losses, weights=(rates > 0).to(losses))
