"""Reward-transform's study: equal divergence, and what it counts."""

from __future__ import annotations

import numpy as np
import pytest

from accordant_studies.claims import reward_transform
from accordant_studies.study import Share


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PROMPTS": 40, "ANSWERS": 60, "REFERENCES": 16}.items():
        monkeypatch.setattr(reward_transform, name, value)


def test_policies_are_tilted_to_the_divergence_asked_for() -> None:
    random = np.random.default_rng(0)
    start = random.dirichlet(np.ones(60), 40)
    utility = random.normal(size=start.shape)
    for distance in (0.1, 1.0, 2.0):
        policy = reward_transform._tilt(start, utility, distance)
        assert policy.sum(1) == pytest.approx(1)
        assert (policy * np.log(policy / start)).sum() / 40 == pytest.approx(distance, abs=1e-6)
        # Log-ratios are the reward times one number, up to a number for each prompt.
        ratio = np.log(policy / start)
        slope = (ratio[:, 1:] - ratio[:, :1]) / (utility[:, 1:] - utility[:, :1])
        assert slope == pytest.approx(np.full_like(slope, slope[0, 0]))


def test_pairs_that_differ_are_those_in_which_one_of_both_is_bad() -> None:
    measured = reward_transform._measure(100)
    ours = measured[reward_transform.OURS]
    for rival in reward_transform.RIVALS:
        both = [row["bad in a property, KL 2"] for row in (ours, measured[rival])]
        apart = ours[f"good where {rival} is bad, KL 2"]
        assert all(isinstance(number, Share) for number in (*both, apart))
        assert both[1].count - both[0].count == 2 * apart.count - apart.trials
