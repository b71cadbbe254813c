"""CoPG's study trains on expectations."""

from __future__ import annotations

import pytest
import torch

from accordant_studies.claims import copg
from accordant_studies.laboratory import worlds


def test_pairs_come_with_their_rewards_and_chances() -> None:
    world = worlds.arms(3, contexts=2)
    rewards = copg._rewards(world, seed=0)
    assert rewards.min() >= 1
    assert rewards.max() <= 3
    sampler = copg._skewed(world, seed=1)
    torch.testing.assert_close(sampler.exp().sum(1), torch.ones(2, dtype=torch.float64))
    chances = copg._chances(sampler)
    assert chances.sum().item() == pytest.approx(2.0)
    for example, chance in zip(copg._every_pair(world, rewards), chances.tolist(), strict=True):
        (tree,) = example.trees
        bandit = world.context_of(tree.prompt)
        arms = [world.number(answer) for answer in tree.continuations]
        assert example.rewards == pytest.approx([rewards[bandit, arm].item() for arm in arms])
        assert chance == pytest.approx(sampler[bandit, arms].sum().exp().item())
