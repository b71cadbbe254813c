"""S43: joint preferences over exchanges, on a bandit in which most judgments cross contexts.

Knows the laboratory. People compare exchanges by Bradley-Terry on gold rewards. A comparison of
answers to one context is what DPO needs; one of answers to different contexts it cannot use, and
dove can. A context may also please by itself, whatever is answered, which no policy can learn from:
the offset of an exchange's context counts in the votes and in no reward.
"""

from __future__ import annotations

import torch
from torch import Tensor

from accordant.tokens.examples import Example
from accordant_studies.laboratory import exact, labelling, worlds
from accordant_studies.laboratory.training import Batch, train
from accordant_studies.laboratory.worlds import TabularPolicy, World
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(10)
ARMS, CONTEXTS = 6, 10
CONDITIONAL, JOINT = 60, 240
OFFSET = 1.0  # standard deviation of contexts' own appeal, as large as that of answers
BETA = 0.5
STEPS = 100
DPO, BOTH, ALONE = "dpo, conditional", "dove, both", "dove, joint alone"
BIASED, MORE = "dove, both, contexts please", "dpo, five times as many"


def study() -> Study:
    """Train on conditional comparisons, on joint ones, and on both."""
    beside = "joint labels beside conditional ones beat conditional ones alone"
    alone = "joint labels alone beat the start, where dpo has nothing to learn"
    pleasing = "joint labels gain also where contexts please by themselves"
    return Study(
        _measure,
        SEEDS,
        (
            Claim(beside, "win rate", higher=BOTH, than=DPO),
            Claim(alone, "win rate", higher=ALONE, than="start"),
            Claim(pleasing, "win rate", higher=BIASED, than=DPO),
            Claim("they gain more than as many that share a context", "win rate", BOTH, than=MORE),
        ),
        units={"KL from the start": "nats"},
        untested=("the prompts' own likelihood, which the authors train too, adds to it",),
        note=f"{CONDITIONAL} conditional and {JOINT} joint comparisons. 'win rate' is against the "
        "start, by gold within a context, exact. Where contexts please, the votes on joint pairs "
        f"also follow the contexts' own appeal (standard deviation {OFFSET:g}). '{MORE}' is what "
        "the same number of labels is worth where every pair shares its context.",
    )


def _measure(seed: int) -> Measured:
    world = worlds.arms(ARMS, contexts=CONTEXTS)
    start = worlds.random_policy(world, seed, scale=0.5)
    rewards = worlds.random_policy(world, seed + 1000).logits.detach()[:, 0]
    appeal = OFFSET * torch.randn(
        CONTEXTS, 1, generator=torch.Generator().manual_seed(seed + 2000), dtype=torch.float64
    )
    conditional = _conditional(world, start, rewards, CONDITIONAL, seed + 1)
    joint = _joint(world, start, rewards, seed + 2)
    pleasing = _joint(world, start, rewards + appeal, seed + 2)
    every = _conditional(world, start, rewards, CONDITIONAL + JOINT, seed + 3)
    runs = {
        DPO: ("dpo", [conditional]),
        ALONE: ("dove", [joint]),
        BOTH: ("dove", [conditional, joint]),
        BIASED: ("dove", [conditional, pleasing]),
        MORE: ("dpo", [every]),
    }
    measured = {"start": {"win rate": 0.5}}
    for name, (objective, parts) in runs.items():
        measured[name] = _run(start, rewards, objective, [e for part in parts for e in part])
    return measured


def _run(
    start: TabularPolicy, rewards: Tensor, objective: str, examples: list[Example]
) -> dict[str, float]:
    policy = TabularPolicy(start.world, start.logits.detach())
    train(policy, objective, [Batch(examples)], steps=STEPS, lr=0.05, options={"beta": BETA})
    end, reference = policy.logps().detach(), start.logps().detach()
    return {
        "win rate": exact.win_rate(end, reference, exact.preference(rewards)),
        "gold reward": exact.expectation(end, rewards),
        "KL from the start": exact.kl(end, reference),
    }


def _conditional(
    world: World, start: TabularPolicy, rewards: Tensor, count: int, seed: int
) -> list[Example]:
    """Return comparisons of the start's own answers to one context each."""
    pairs = labelling.draw_pairs(world, start.logps(), count, seed)
    votes = labelling.vote(pairs, rewards, seed)
    return labelling.comparisons(world, labelling.majority(pairs, votes, 1))


def _joint(world: World, start: TabularPolicy, rewards: Tensor, seed: int) -> list[Example]:
    """Return comparisons of the start's own answers to two contexts each."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(CONTEXTS, (JOINT,), generator=generator)
    other = (first + torch.randint(1, CONTEXTS, (JOINT,), generator=generator)) % CONTEXTS
    sides = [
        (contexts, labelling.draw_answers(start.logps(), contexts, 1, seed + n).squeeze(1))
        for n, contexts in enumerate((first, other), start=10_000)
    ]
    gaps = rewards[sides[0]] - rewards[sides[1]]
    wins = torch.rand(JOINT, generator=generator, dtype=torch.float64) < gaps.sigmoid()
    chosen, rejected = (
        [torch.where(wins, a, b) for a, b in zip(*order, strict=True)]
        for order in (sides, reversed(sides))
    )
    return labelling.joint_pairs(world, chosen, rejected)
