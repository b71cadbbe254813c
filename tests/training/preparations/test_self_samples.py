"""Answers of the start model in the trees of examples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant.training.preparations.self_samples import with_own_answers
from tests.training.runs import make_examples, make_model

SAMPLER = LocalSampler(make_model())
OPTIONS = SamplingOptions(max_new_tokens=5, seed=3, stop_ids=(0,), samples_per_prompt=3)


def test_a_prompt_is_answered_once_however_many_examples_share_it() -> None:
    examples = make_examples("dpo", 3)
    shared = [*examples, replace(examples[0], index=9)]
    extended = with_own_answers(shared, SAMPLER, OPTIONS)
    prompts = [example.trees[0].prompt for example in examples]
    exact = [tuple(x.completion for x in row) for row in SAMPLER.sample(prompts, OPTIONS)]
    for before, after, answers in zip(shared, extended, [*exact, exact[0]], strict=True):
        own = before.trees[0].continuations
        assert after.trees[0].continuations == (*own, *answers)
        assert after.extra_answers == {"self_samples": 3}
        assert (after.index, after.kind, after.id) == (before.index, before.kind, before.id)


def test_two_prompts_are_a_bug() -> None:
    tree = TokenTree((1,), ((2,),))
    with pytest.raises(ValueError, match="two prompts"):
        with_own_answers([Example("joint_pair", (tree, tree), 0)], SAMPLER, OPTIONS)
