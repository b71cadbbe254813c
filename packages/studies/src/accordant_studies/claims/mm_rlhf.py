"""S67: dynamic reward scaling on pairs of mixed quality, on a bandit.

Knows the laboratory. People label pairs by Bradley-Terry on gold rewards and slip in a share of
them; a reward model, right about gold up to noise of its own, rates both answers. mm_dpo scales
beta by the rated gap, so that clear pairs weigh more and pairs the reward model disagrees with do
not. It is compared with the same beta for all pairs, at both ends and at the mean of its own, and
with its own betas dealt to pairs at random. The rival of equal information asks the reward model
only which pairs it disputes, and leaves them out.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from accordant.tokens.examples import Example, with_numbers
from accordant_studies.laboratory import exact, labelling, worlds
from accordant_studies.laboratory.training import minibatches, train
from accordant_studies.laboratory.worlds import TabularPolicy
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(10)
ARMS, CONTEXTS = 6, 10
PAIRS = 300
PASSES = 10
FLIPS = 0.2
NOISE = 0.5  # of the reward model, where gold rewards have standard deviation 1
BETA, WEIGHT, RATE = 0.5, 1.0, 1.0
LOW, MIDDLE, HIGH = "dpo, smallest beta", "dpo, mean beta", "dpo, largest beta"
SCALED, DEALT = "mm_dpo", "mm_dpo, gaps dealt at random"
UNDISPUTED = "dpo, mean beta, undisputed pairs"


def study() -> Study:
    """Train on mixed pairs with scaled and with fixed betas, for one pass and for many."""
    return Study(
        _measure,
        SEEDS,
        tuple(
            Claim(f"{statement}, {_after(passes)}", _after(passes), higher=SCALED, than=loser)
            for passes in (1, PASSES)
            for loser, statement in (
                (LOW, "scaling beats its smallest beta for all pairs"),
                (MIDDLE, "scaling beats its mean beta for all pairs"),
                (HIGH, "scaling beats its largest beta for all pairs"),
                (DEALT, "scaling by the right gaps beats the same scales dealt at random"),
                (UNDISPUTED, "scaling beats leaving out the pairs that the reward model disputes"),
            )
        ),
        units={"KL from the start": "nats"},
        untested=("a reward model that writes a critique first judges better",),
        note=f"{PAIRS} pairs, {FLIPS:.0%} of labels turned round, a reward model with noise of "
        f"{NOISE:g} standard deviations; beta {BETA:g}, weight {WEIGHT:g}, rate {RATE:g}. "
        "Win rates are against the start, by gold within a context, exact. After one pass a larger "
        "beta moves further, after many a smaller one: scaling must beat both. The critique-based "
        "reward model is not part of this: rated gaps are gold plus noise.",
    )


def _after(passes: int) -> str:
    return f"win rate after {passes} pass{'es' if passes > 1 else ''}"


def _measure(seed: int) -> Measured:
    world = worlds.arms(ARMS, contexts=CONTEXTS)
    start = worlds.random_policy(world, seed, scale=0.5)
    gold = worlds.random_policy(world, seed + 1000).logits.detach()[:, 0]
    rated = gold + NOISE * worlds.random_policy(world, seed + 2000).logits.detach()[:, 0]
    pairs = labelling.draw_pairs(world, start.logps(), PAIRS, seed + 1)
    votes = labelling.vote(pairs, gold, seed + 2, flips=FLIPS)
    examples = labelling.comparisons(world, labelling.majority(pairs, votes, 1), rated)
    gaps = torch.tensor([e.numbers["reward_gap"][0] for e in examples], dtype=torch.float64)
    mean = BETA * float((1 - WEIGHT * (-RATE * gaps.clamp(min=0)).expm1()).mean())
    scaling = {"beta": BETA, "weight": WEIGHT, "rate": RATE}
    undisputed = [
        replace(example, index=index)
        for index, example in enumerate(e for e in examples if e.numbers["reward_gap"][0] > 0)
    ]
    return {
        LOW: _run(start, gold, "dpo", examples, {"beta": BETA}, seed),
        MIDDLE: _run(start, gold, "dpo", examples, {"beta": mean}, seed),
        HIGH: _run(start, gold, "dpo", examples, {"beta": BETA * (1 + WEIGHT)}, seed),
        SCALED: _run(start, gold, "mm_dpo", examples, scaling, seed),
        UNDISPUTED: _run(start, gold, "dpo", undisputed, {"beta": mean}, seed),
        DEALT: _run(start, gold, "mm_dpo", _dealt(examples, seed), scaling, seed),
    }


def _dealt(examples: list[Example], seed: int) -> list[Example]:
    """Return the same examples with each other's gaps."""
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed)).tolist()
    return [
        with_numbers(example, "reward_gap", examples[other].numbers["reward_gap"])
        for example, other in zip(examples, order, strict=True)
    ]


def _run(
    start: TabularPolicy,
    gold: Tensor,
    objective: str,
    examples: list[Example],
    options: dict[str, float],
    seed: int,
) -> dict[str, float]:
    """Train on the pairs in small batches, by gradient descent, which feels weights."""
    policy = TabularPolicy(start.world, start.logits.detach())
    reference, preferences = start.logps().detach(), exact.preference(gold)
    batches = minibatches(examples, 10, seed, PASSES)
    history = train(
        policy,
        objective,
        batches,
        reference=start,
        options=options,
        steps=len(batches),
        lr=2.0,
        optimizer="sgd",
        watch=lambda _: {"win rate": exact.win_rate(policy.logps(), reference, preferences)},
        every=len(batches) // PASSES,
    )
    return {
        _after(1): history[1]["win rate"],
        _after(PASSES): history[-1]["win rate"],
        "KL from the start": exact.kl(policy.logps(), reference),
    }
