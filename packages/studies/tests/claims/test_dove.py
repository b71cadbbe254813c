"""DOVE's study makes the labels it says it makes."""

from __future__ import annotations

from accordant_studies.claims import dove
from accordant_studies.laboratory import worlds


def test_joint_pairs_cross_contexts_and_prefer_gold() -> None:
    world = worlds.arms(dove.ARMS, contexts=dove.CONTEXTS)
    start = worlds.random_policy(world, 0)
    rewards = 100 * worlds.random_policy(world, 1).logits.detach()[:, 0]
    pairs = dove._joint(world, start, rewards, 2)
    assert len(pairs) == dove.JOINT
    gaps = []
    for pair in pairs:
        sides = [(world.context_of(tree.prompt), tree.continuations[0]) for tree in pair.trees]
        assert sides[0][0] != sides[1][0]
        chosen, rejected = (rewards[context, world.number(answer)] for context, answer in sides)
        gaps.append(float(chosen - rejected))
    # At a hundredfold reward votes are all but certain.
    assert sum(gap >= 0 for gap in gaps) > 0.97 * len(gaps)
