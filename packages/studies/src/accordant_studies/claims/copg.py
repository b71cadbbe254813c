"""S34: contrastive policy gradient on a bandit, from answers of a fixed and skewed sampler.

Knows the laboratory. All pairs of arms are trained on with the sampler's probabilities as weights,
so every gradient is its expectation and nothing is left to chance but the bandit itself. Beside it
the loop and the trainer that users run draw the pairs. The two policy gradients that the claim is
about are defined here, for no one should train on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from accordant.base.options import Positive
from accordant.loops import Draw, find_recipe
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.ranking import ListwiseScores
from accordant.objectives.numerics import to_grid
from accordant.objectives.registry import objective, temporary_objectives
from accordant.rewards.registry import FunctionReward
from accordant.rewards.reward import Answer, Reward
from accordant.tokens.examples import Example
from accordant_studies.laboratory import exact, worlds
from accordant_studies.laboratory.recipes import follow
from accordant_studies.laboratory.training import Batch, train
from accordant_studies.laboratory.worlds import TabularPolicy, World
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(5)
ARMS = 3
BANDITS = 24  # a seed's numbers are means over so many
BETA = 0.25
STEPS = {False: 1500, True: 500}  # on the sampler's answers, on own ones
REACHED = 0.01  # nats from the optimum that count as reaching it
OFF_POLICY = {
    "copg, skewed sampler": "copg",
    "plain policy gradient, skewed sampler": "plain_policy_gradient",
    "baseline of rewards alone, skewed sampler": "reward_baseline_policy_gradient",
}
ON_POLICY = {
    "copg, own samples": "copg",
    "plain policy gradient, own samples": "plain_policy_gradient",
}
DRAWN = "copg, drawn by the loop"
ROUNDS, EACH = 400, 8  # pairs of every bandit a round


def study() -> Study:
    """Follow three gradients of the same pairs to where they end."""
    distance = "KL from the optimum"
    (ours, plain, baseline), (own, plain_own) = OFF_POLICY, ON_POLICY
    misled = "so does the plain gradient: the sampler is what misleads it"
    return Study(
        _measure,
        SEEDS,
        (
            Claim("copg ends at the optimum off-policy", distance, lower=ours, than=REACHED),
            Claim(
                "the plain policy gradient ends further from it", distance, higher=plain, than=ours
            ),
            Claim(
                "a baseline of rewards alone ends further from it",
                distance,
                higher=baseline,
                than=ours,
            ),
            Claim("copg ends there on its own samples", distance, lower=own, than=REACHED),
            Claim(misled, distance, lower=plain_own, than=REACHED),
            Claim("so it does on pairs the loop draws", distance, lower=DRAWN, than=REACHED),
        ),
        units={distance: "nats", "regularised reward lost": "reward"},
        note=f"Means over {BANDITS} bandits of {ARMS} arms, rewards between 1 and 3, beta {BETA}, "
        "trained by Adam on expected gradients until they no longer move. The skewed sampler takes "
        "one arm eight times in ten and never changes; 'own samples' weighs the same pairs by the "
        f"policy as it stands; '{DRAWN}' are {EACH} of every bandit in each of {ROUNDS} rounds, "
        "at a rate that falls to 0.",
    )


def _measure(seed: int) -> Measured:
    world = worlds.arms(ARMS, contexts=BANDITS)
    reference = worlds.random_policy(world, seed)
    rewards = _rewards(world, seed + 1000)
    skewed, pairs = _skewed(world, seed), _every_pair(world, rewards)
    logps = reference.logps().detach()
    best = exact.optimum(logps, rewards, BETA)
    top = exact.regularised_reward(best, logps, rewards, BETA)

    def quantities(reached: Tensor) -> dict[str, float]:
        lost = top - exact.regularised_reward(reached, logps, rewards, BETA)
        return {"KL from the optimum": exact.kl(reached, best), "regularised reward lost": lost}

    def end(name: str, *, own: bool) -> dict[str, float]:
        policy = TabularPolicy(world, reference.logits.detach())

        def own_batch(step: int) -> Batch:
            del step  # the policy has moved
            return Batch(pairs, _chances(policy.logps().detach()))

        train(
            policy,
            name,
            own_batch if own else [Batch(pairs, _chances(skewed))],
            reference=reference,
            options={"beta": BETA},
            steps=STEPS[own],
            lr=0.05,
        )
        return quantities(policy.logps().detach())

    # The recipe for rewards on several own answers, with copg's loss and two answers.
    recipe = replace(
        find_recipe("f_dpg"), draws=(Draw(2),), objective="copg", options={"beta": BETA}
    )
    each = EACH * BANDITS
    drawn = follow(recipe, reference, _judge(rewards), rounds=ROUNDS, each=each, lr=0.05, seed=seed)
    with temporary_objectives():
        _register_wrong_gradients()
        off = {label: end(name, own=False) for label, name in OFF_POLICY.items()}
        own = {label: end(name, own=True) for label, name in ON_POLICY.items()}
    return off | own | {DRAWN: quantities(drawn.logps().detach())}


def _judge(rewards: Tensor) -> Reward:
    """Return the reward of answers whose text is token ids, as the loop reads them."""

    def score(answers: Sequence[Answer]) -> NDArray[np.float64]:
        bandits = [int(str(answer.prompt)) - ARMS for answer in answers]
        looked_up: NDArray[np.float64] = rewards[bandits, [int(a.text) for a in answers]].numpy()
        return looked_up

    return FunctionReward("bandit", "the arm's reward", score)


def _rewards(world: World, seed: int) -> Tensor:
    """Draw rewards between 1 and 3, as scores often are positive, `[bandits, arms]`."""
    shape = (world.contexts, world.size)
    return 1 + 2 * torch.rand(shape, generator=_generator(seed), dtype=torch.float64)


def _skewed(world: World, seed: int) -> Tensor:
    """Return a sampler that takes one arm eight times in ten, log-probs `[bandits, arms]`."""
    often = torch.randint(world.size, (world.contexts, 1), generator=_generator(seed))
    shares = torch.full((world.contexts, world.size), 0.2 / (world.size - 1), dtype=torch.float64)
    return shares.scatter(1, often, 0.8).log()


def _every_pair(world: World, rewards: Tensor) -> list[Example]:
    """Return all ordered pairs of arms, equal ones too, as two independent samples give them."""
    arms = range(world.size)
    return [
        Example("ranking", (world.tree(bandit, pair),), n, rewards=(values[one], values[other]))
        for n, (bandit, *pair) in enumerate(product(range(world.contexts), arms, arms))
        for values, (one, other) in [(rewards[bandit].tolist(), pair)]
    ]


def _chances(logps: Tensor) -> Tensor:
    """Return the probability of every pair of `_every_pair`, `[pairs]`."""
    return (logps.unsqueeze(2) + logps.unsqueeze(1)).exp().flatten()


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _register_wrong_gradients() -> None:
    @objective(
        name="plain_policy_gradient",
        feedback="ranking",
        needs_reference=True,
        paper="none: what CoPG mends",
        formula="-mean_i Q_i log pi(y_i|x)",
    )
    def plain(rankings: ListwiseScores, *, beta: Positive = 0.1) -> LossOutput:
        """Weigh log-probabilities by the regularised reward, without a baseline."""
        regularised, present = to_grid(_regularised(rankings, beta), rankings.ranking)
        return _policy_gradient(rankings, regularised, present)

    @objective(
        name="reward_baseline_policy_gradient",
        feedback="ranking",
        needs_reference=True,
        paper="none: what CoPG mends",
        formula="-mean_i (Q_i - mean_{j != i} R_j) log pi(y_i|x)",
    )
    def reward_baseline(rankings: ListwiseScores, *, beta: Positive = 0.1) -> LossOutput:
        """Take the other answer's reward off: a baseline without its reference term."""
        regularised, present = to_grid(_regularised(rankings, beta), rankings.ranking)
        rewards, _ = to_grid(rankings.rewards, rankings.ranking)
        others = (rewards.sum(1, keepdim=True) - rewards) / (present.sum(1, keepdim=True) - 1)
        return _policy_gradient(rankings, regularised - others, present)


def _regularised(rankings: ListwiseScores, beta: float) -> Tensor:
    """Return Q = R - beta h of every answer, without gradient."""
    return (rankings.rewards - beta * rankings.completions.log_ratio()).detach()


def _policy_gradient(rankings: ListwiseScores, advantages: Tensor, present: Tensor) -> LossOutput:
    logps, _ = to_grid(rankings.completions.policy.sum(), rankings.ranking)
    return LossOutput(-(advantages * logps).sum(dim=1) / present.sum(dim=1))
