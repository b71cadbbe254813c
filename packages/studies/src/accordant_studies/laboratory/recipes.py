"""Recipes of the product's loops on tables: drawn, labelled, kept and trained as users' are.

Knows loops, tabular policies and the trainer that users run. Knows nothing of claims.
"""

from __future__ import annotations

from typing import Any

from accordant.loops import Loop, MovingReference, Recipe
from accordant.sampling.samples import SamplingOptions
from accordant.scoring.frozen import Frozen
from accordant_studies.laboratory.trainer import train_with_trainer
from accordant_studies.laboratory.training import Batch
from accordant_studies.laboratory.worlds import TabularPolicy


def follow(
    recipe: Recipe,
    start: TabularPolicy,
    judge: Any,
    *,
    rounds: int,
    each: int,
    lr: float,
    seed: int,
    momentum: float | None = None,
) -> TabularPolicy:
    """Return a policy trained by a recipe from `start` on, one step a round.

    Args:
        recipe: with a fixed reference.
        start: start and reference; left as it is.
        judge: a reward or a preference of answers, whose text is their token ids.
        rounds: how many; the learning rate falls to 0 over them.
        each: prompts a round, contexts in turn.
        lr: first learning rate.
        seed: of answers and labels.
        momentum: Adam's first beta; the recipe's when None.
    """
    world = start.world
    policy = TabularPolicy(world, start.logits.detach())
    reference = MovingReference(Frozen(start), recipe.reference)
    longest = int(world.lengths.max())
    loop = Loop(
        recipe,
        reference,
        reference.frozen,
        prompts=tuple(map(world.prompt, range(world.contexts))),
        each=each,
        sampling=SamplingOptions(max_new_tokens=longest, batch_size=2 * each),
        judge=judge,
        seed=seed,
    )
    train_with_trainer(
        policy,
        recipe.objective,
        lambda step: Batch(loop.examples(step, policy)),
        steps=rounds,
        lr=lr,
        schedule="linear",
        momentum=recipe.settings.get("adam_beta1", 0.9) if momentum is None else momentum,
        reference=start,
        options=recipe.options,
    )
    return policy
