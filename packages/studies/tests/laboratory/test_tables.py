"""Tables answer the product's samplers as they answer the laboratory's own draws."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from accordant.loops import find_recipe
from accordant.rewards.registry import FunctionReward
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant_studies.laboratory import exact, worlds
from accordant_studies.laboratory.recipes import follow


def test_a_table_is_drawn_from_as_its_probabilities_say() -> None:
    world = worlds.strings(2, 3, contexts=2, memory=1)
    policy = worlds.random_policy(world, 0)
    options = SamplingOptions(
        max_new_tokens=4, stop_ids=(2,), samples_per_prompt=4000, batch_size=8000
    )
    for context, samples in enumerate(
        LocalSampler(policy).sample([world.prompt(0), world.prompt(1)], options)
    ):
        numbers = torch.tensor([world.number(sample.completion) for sample in samples])
        shares = numbers.bincount(minlength=world.size) / len(samples)
        logps = policy.logps().detach()[context]
        torch.testing.assert_close(shares, logps.exp().float(), atol=0.03, rtol=0)
        for sample in samples[:20]:
            assert sum(sample.logps) == pytest.approx(
                float(logps[world.number(sample.completion)]), abs=1e-5
            )
    policy.logps().sum().backward()


def test_a_policy_gradient_on_own_samples_reaches_its_target_in_a_loop() -> None:
    world = worlds.arms(4)
    start = worlds.random_policy(world, 4)
    rewards = torch.tensor([[0.0, 1.0, -1.0, 0.5]], dtype=torch.float64)
    judge = FunctionReward(
        "table", "looks up", lambda answers: [rewards[0, int(a.text)] for a in answers]
    )
    recipe = replace(find_recipe("f_dpg"), options={"beta": 1.0})
    policy = follow(recipe, start, judge, rounds=60, each=8, lr=0.1, seed=0)
    target = exact.optimum(start.logps().detach(), rewards, 1.0)
    before = exact.kl(start.logps().detach(), target)
    assert exact.kl(policy.logps().detach(), target) < 0.2 * before
