"""Answers of the start model in the trees of examples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accordant.runs.self_samples import own_answers, with_self_samples
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from tests.training.runs import make_examples, make_model

SAMPLER = LocalSampler(make_model())
OPTIONS = SamplingOptions(max_new_tokens=5, seed=3, stop_ids=(0,), samples_per_prompt=3)


def test_a_prompt_is_answered_once_however_many_examples_share_it() -> None:
    examples = make_examples("sft", 3)
    answers = own_answers(SAMPLER, [*examples, replace(examples[0], index=9)], OPTIONS)
    prompts = [example.trees[0].prompt for example in examples]
    exact = SAMPLER.sample(prompts, OPTIONS)
    assert list(answers) == prompts
    assert list(answers.values()) == [tuple(x.completion for x in row) for row in exact]


def test_samples_follow_the_records_own_answers() -> None:
    examples = make_examples("dpo", 2)
    samples = {example.trees[0].prompt: ((5,), (6, 0)) for example in examples}
    for example, extended in zip(examples, with_self_samples(examples, samples), strict=True):
        own = example.trees[0].continuations
        assert extended.trees[0].continuations == (*own, (5,), (6, 0))
        assert extended.self_samples == 2
        assert (extended.index, extended.kind) == (example.index, example.kind)


def test_two_prompts_are_a_bug() -> None:
    tree = TokenTree((1,), ((2,),))
    with pytest.raises(ValueError, match="two prompts"):
        own_answers(SAMPLER, [Example("joint_pair", (tree, tree), 0)], OPTIONS)
