"""MM-RLHF's study deals gaps without changing them."""

from __future__ import annotations

from accordant_studies.claims import mm_rlhf
from accordant_studies.laboratory import labelling, worlds


def test_dealt_gaps_are_the_same_gaps_on_other_pairs() -> None:
    world = worlds.arms(4)
    rewards = worlds.random_policy(world, 0).logits.detach()[:, 0]
    examples = labelling.comparisons(world, labelling.every_pair(world), rewards)
    dealt = mm_rlhf._dealt(examples, seed=1)
    assert [e.trees for e in dealt] == [e.trees for e in examples]
    gaps = [[e.numbers["reward_gap"] for e in row] for row in (examples, dealt)]
    assert gaps[0] != gaps[1]
    assert sorted(gaps[0]) == sorted(gaps[1])
