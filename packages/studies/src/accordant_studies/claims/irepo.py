"""S04: regression on vote shares against hard labels, on a bandit whose annotators disagree.

Knows the laboratory. Annotators vote by Bradley-Terry on gold rewards, so many votes go to the
worse answer. Every method has as many votes in every round: irepo sees their shares, hard labels
are the majority, and the rival of equal information takes every vote as a comparison. Rounds as
published: the policy's own answers are labelled, trained on, and the trained policy becomes the
reference and the sampler of the next round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from accordant_studies.laboratory import exact, labelling, worlds
from accordant_studies.laboratory.training import Batch, train
from accordant_studies.laboratory.worlds import TabularPolicy, World
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(24)  # as many as the lead over equal information may take
Labels = Literal["shares", "majorities", "votes"]
ARMS, CONTEXTS = 6, 10
PAIRS = 150  # a round; every pair of answers about once
VOTERS = 5
ROUNDS = 2
# From near the start to beyond the distances below; hard labels carry dpo further at the same beta.
BETAS = {"irepo": (0.35, 0.7, 1.4, 2.8), "dpo": (1.0, 2.0, 4.0, 8.0, 16.0)}
DISTANCES = (0.3, 0.5)  # KL from the start in nats at which methods are compared
SHARES, MAJORITIES, DPO = "irepo, shares", "irepo, majorities", "dpo, majorities"
EVERY = "dpo, every vote a comparison"
METHODS: dict[str, tuple[str, Labels]] = {
    SHARES: ("irepo", "shares"),
    MAJORITIES: ("irepo", "majorities"),
    DPO: ("dpo", "majorities"),
    EVERY: ("dpo", "votes"),
}
# The lead over it in earlier seeds, and their standard deviation, at either distance.
EXPECTED = {0.3: (0.010, 0.009), 0.5: (0.010, 0.016)}
FEW, MANY = "irepo, 1 voter", "irepo, 25 voters"


def study() -> Study:
    """Align to votes by shares and by majorities, and let the number of voters grow."""
    error = "reward error"
    return Study(
        _measure,
        SEEDS,
        (
            *(
                Claim(
                    f"shares beat {other} {_at(distance)}", _at(distance), higher=SHARES, than=other
                )
                for other in (DPO, MAJORITIES)
                for distance in DISTANCES
            ),
            *(
                Claim(
                    f"shares beat every vote as a comparison {_at(distance)}",
                    _at(distance),
                    higher=SHARES,
                    than=EVERY,
                    expected=EXPECTED.get(distance),
                )
                for distance in DISTANCES
            ),
            Claim("five voters recover gold better than one", error, lower=SHARES, than=FEW),
            Claim("and twenty-five better than five", error, lower=MANY, than=SHARES),
            Claim("shares recover gold better than dpo", error, lower=SHARES, than=DPO),
        ),
        units={error: "reward"},
        untested=("annotators' own confidence as labels",),
        note=f"{VOTERS} voters a pair, {ROUNDS} rounds at each of several betas. Methods are "
        "compared at equal KL from the start, between their betas by interpolation, since the "
        "same beta takes them to different distances. 'reward error' is the root mean square of "
        "beta h minus gold within a context, after one round at beta 1. Expectations are exact.",
    )


def _at(distance: float) -> str:
    return f"gold at {distance:g} nats"


def _measure(seed: int) -> Measured:
    world = worlds.arms(ARMS, contexts=CONTEXTS)
    start = worlds.random_policy(world, seed, scale=0.5)
    rewards = worlds.random_policy(world, seed + 1000).logits.detach()[:, 0]
    measured: dict[str, dict[str, float]] = {}
    for name, (objective, labels) in METHODS.items():
        frontier = [(0.0, exact.expectation(start.logps(), rewards))]
        for beta in BETAS[objective]:
            voted = _Votes(rewards, VOTERS, labels)
            end = _rounds(world, start, voted, objective, beta, seed).logps().detach()
            divergence = exact.kl(end, start.logps().detach())
            frontier.append((divergence, exact.expectation(end, rewards)))
        measured[name] = {_at(d): exact.at_distance(frontier, d) for d in DISTANCES}
        distances = [divergence for divergence, _ in frontier[1:]]
        measured[name] |= {"nearest, nats": min(distances), "furthest, nats": max(distances)}
    for name, voters in ((SHARES, VOTERS), (FEW, 1), (MANY, 25), (DPO, VOTERS)):
        objective, labels = METHODS.get(name, METHODS[SHARES])
        voted = _Votes(rewards, voters, labels)
        policy = _train(world, start, voted, objective, 1.0, seed)
        measured.setdefault(name, {})["reward error"] = _reward_error(policy, start, rewards)
    return measured


@dataclass(frozen=True, eq=False)
class _Votes:
    """Who labels: by which rewards, how many vote on a pair, and what becomes of their votes."""

    rewards: Tensor
    voters: int
    labels: Labels


def _rounds(
    world: World, start: TabularPolicy, voted: _Votes, objective: str, beta: float, seed: int
) -> TabularPolicy:
    policy = start
    for number in range(ROUNDS):
        policy = _train(world, policy, voted, objective, beta, seed + 100 * number)
    return policy


def _train(
    world: World, sampler: TabularPolicy, voted: _Votes, objective: str, beta: float, seed: int
) -> TabularPolicy:
    """Label the sampler's own answers and train a copy of it on them: one round."""
    pairs = labelling.draw_pairs(world, sampler.logps(), PAIRS, seed)
    votes = labelling.vote(pairs, voted.rewards, seed + 1, voters=voted.voters)
    if voted.labels == "shares":
        examples = labelling.voted_comparisons(world, pairs, votes, voted.voters)
    elif voted.labels == "votes":
        examples = labelling.comparisons(world, labelling.every_vote(pairs, votes, voted.voters))
    else:
        examples = labelling.comparisons(world, labelling.majority(pairs, votes, voted.voters))
    policy = TabularPolicy(world, sampler.logits.detach())
    train(policy, objective, [Batch(examples)], steps=100, lr=0.05, options={"beta": beta})
    return policy


def _reward_error(policy: TabularPolicy, reference: TabularPolicy, rewards: Tensor) -> float:
    """Return the root mean square of h minus rewards within a context: beta is 1."""
    ratios = policy.logps().detach() - reference.logps().detach()
    differences = exact.centred(ratios) - exact.centred(rewards)
    return float(differences.square().mean().sqrt())
