"""Rewards that read tokens: the implicit one against plain forward passes, and best of n."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from accordant.feedback.records import Comparison, Message
from accordant.models.adapters import LoraOptions, attach_lora
from accordant.rewards.best_of import BestOf
from accordant.rewards.implicit import ImplicitReward
from accordant.rewards.registry import FunctionReward
from accordant.rewards.reward import Answer, Reward, read_answer, score_answers
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.scoring.apart import plain_logps
from accordant.tokens.rendering import Rendering, encode
from accordant.tokens.trees import TokenTree
from tests.checks.before.modelled import TOKENIZER, make_model

TALK = (Message("user", "Why?"), Message("assistant", "So."), Message("user", "No!"))
ANSWERS = [
    Answer(prompt, text, finished)
    for prompt in ("What is a carrot?", TALK)
    for text, finished in (("A root.", True), ("A fruit, an", False))
]


def implicit(**fields: Any) -> ImplicitReward:
    return ImplicitReward(make_model(0), make_model(1), TOKENIZER, Rendering(), 0.5, **fields)


def expected(reward: ImplicitReward, answer: Answer) -> float:
    """The definition, from one plain sequence."""
    completion = (Message("assistant", answer.text),) if answer.prompt == TALK else answer.text
    record = Comparison(answer.prompt, completion, completion)
    (tree,) = encode([record], TOKENIZER, Rendering(), max_tokens=None).examples[0].trees
    tokens = tree.continuations[0] if answer.finished else tree.continuations[0][:-1]
    with torch.no_grad():
        policy, reference = (
            float(plain_logps(model, TokenTree(tree.prompt, (tokens,)))[0].double().sum())
            for model in (reward.policy, reward.reference)
        )
    return reward.beta * (policy - reference)


def test_the_implicit_reward_is_the_log_ratio_of_plain_sequences() -> None:
    reward = implicit()
    assert isinstance(reward, Reward)
    rewards = score_answers(reward, ANSWERS)
    assert rewards.values[:, 0] == pytest.approx(
        [expected(reward, one) for one in ANSWERS], abs=1e-4
    )
    backwards = score_answers(reward, ANSWERS[::-1]).values[::-1]
    # Float32: another order of answers is another order of sums.
    assert backwards == pytest.approx(rewards.values, abs=1e-5)
    assert rewards.steps is not None
    assert np.array([step.sum(0) for step in rewards.steps]) == pytest.approx(rewards.values)


def test_without_a_second_model_the_reference_is_the_adapter_off() -> None:
    base = make_model(0)
    adapted: Any = attach_lora(copy.deepcopy(base), LoraOptions(rank=2, alpha=4.0), seed=0)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1)
    alone = ImplicitReward(adapted, None, TOKENIZER, Rendering())
    beside = ImplicitReward(adapted, base, TOKENIZER, Rendering())
    values = score_answers(alone, ANSWERS).values
    assert values == pytest.approx(score_answers(beside, ANSWERS).values, abs=1e-5)
    assert np.abs(values).max() > 1e-3


def test_the_best_of_n_are_the_best_of_what_the_sampler_draws() -> None:
    model = make_model(0)
    prompts = [(5, 6, 7), (8, 9), (5, 6, 7)]
    vowels = FunctionReward("a", "letters a", lambda prompt, text, done: text.count("a"))

    def read(prompt: Any, sample: Any) -> Answer:
        return read_answer("?", sample, TOKENIZER, tuple(prompt))

    drawn = LocalSampler(model).sample(prompts, SamplingOptions(12, samples_per_prompt=6, seed=3))
    best = BestOf(LocalSampler(model), vowels, 3, read).sample(
        prompts, SamplingOptions(12, samples_per_prompt=2, seed=3)
    )
    for prompt, samples, chosen in zip(prompts, drawn, best, strict=True):
        for place, sample in enumerate(chosen):
            group = samples[3 * place : 3 * place + 3]
            counts = [read(prompt, one).text.count("a") for one in group]
            assert sample == group[int(np.argmax(counts))]
    with pytest.raises(ValueError, match="none"):
        BestOf(LocalSampler(model), vowels, 0, read)
