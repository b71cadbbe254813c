"""CoPG's reproduction runs on expectations, repeats itself, and leaves nothing registered."""

from __future__ import annotations

import pytest
import torch

from accordant.objectives.registry import list_objectives
from accordant_studies.claims import copg
from accordant_studies.laboratory import worlds


def test_it_measures_every_condition_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copg, "STEPS", {False: 30, True: 10})
    monkeypatch.setattr(copg, "BANDITS", 2)
    before = list_objectives()
    result = copg.study().run((0, 1))
    assert {row.condition for row in result.rows} == {*copg.OFF_POLICY, *copg.ON_POLICY}
    assert len(result.claims) == 5
    assert result == copg.study().run((0, 1))
    assert list_objectives() == before


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


@pytest.mark.study
def test_the_shape_shows() -> None:
    assert copg.study().run().shows
