"""Preferences: batched functions from two answers to the chance that the first is preferred.

Knows rewards and arrays. Knows no model and no file. A preference need not come from a reward: it
may be cyclic, and then no number for each answer says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from accordant.base.errors import UserError
from accordant.rewards.reward import Answer, Reward, score_single

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@runtime_checkable
class Preference(Protocol):
    """A stated way to compare answers to one prompt."""

    @property
    def name(self) -> str: ...  # noqa: D102

    def prefer(self, first: Sequence[Answer], second: Sequence[Answer]) -> Floats:
        """Return how likely each first answer is preferred to its second, `[n]`, in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True)
class RewardPreference:
    """Bradley-Terry: sigmoid of the difference of two rewards.

    Args:
        reward: of a single attribute.
        temperature: the difference is divided by it, above 0.
    """

    reward: Reward
    temperature: float = 1.0

    @property
    def name(self) -> str:
        """The reward's name."""
        return self.reward.name

    def prefer(self, first: Sequence[Answer], second: Sequence[Answer]) -> Floats:
        """Compare answers pair by pair.

        Raises:
            UserError: the reward failed, or has several attributes.
        """
        scores = score_single(self.reward, [*first, *second])
        gaps = (scores[: len(first)] - scores[len(first) :]) / self.temperature
        # By tanh, which does not overflow as exp does.
        chances: Floats = (1 + np.tanh(gaps / 2)) / 2
        return chances


def symmetric_preference(
    preference: Preference, first: Sequence[Answer], second: Sequence[Answer]
) -> Floats:
    """Return the chances that each first answer is preferred, the mean of both orders, `[n]`.

    A judge that leans to what it reads first would otherwise teach the place, not the answer: the
    chances of a pair and of its reverse then sum to 1 exactly.

    Raises:
        UserError: the preference returned another number of chances, or one outside [0, 1].
    """
    if not first:  # no preference has to know what shape nothing has
        return np.zeros(0)
    chances = np.asarray(preference.prefer([*first, *second], [*second, *first]), np.float64)
    if chances.shape != (2 * len(first),) or not ((chances >= 0) & (chances <= 1)).all():
        raise UserError(
            f"it returned {chances.size} numbers from {chances.min(initial=0):g} to "
            f"{chances.max(initial=0):g} for {2 * len(first)} pairs, expected a chance in [0, 1] "
            "for each.",
            where=f"preference {preference.name}",
        )
    return (chances[: len(first)] + 1 - chances[len(first) :]) / 2
