"""Samplers: what all of them promise, and mixtures of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.sampling.replay import Replay
from accordant.sampling.sampler import LocalSampler, Mixture
from accordant.sampling.samples import SamplingOptions
from tests.families import tiny_model

FIRST, SECOND = (LocalSampler(tiny_model("llama", seed=seed)) for seed in (0, 1))
PROMPTS = [[5, 9, 3], [7], [1, 2, 3, 4], [7]]
OPTIONS = SamplingOptions(max_new_tokens=5, samples_per_prompt=3, seed=1)


def completions(rows):
    return [[sample.completion for sample in row] for row in rows]


@pytest.mark.parametrize("kind", ["local", "replay", "mixture"])
def test_a_sampler_answers_a_prompt_alike_in_any_company(kind, tmp_path):
    sampler = {
        "local": FIRST,
        "replay": Replay(FIRST, tmp_path, "m", "float32"),
        "mixture": Mixture((FIRST, SECOND), (0.5, 0.5)),
    }[kind]
    together = completions(sampler.sample(PROMPTS, OPTIONS))
    assert [len(row) for row in together] == [3] * len(PROMPTS)
    for index in (0, 1, 2):
        assert completions(sampler.sample([PROMPTS[index]], OPTIONS)) == [together[index]]
    # A prompt that comes again gets further samples.
    assert len({*together[1], *together[3]}) == 6
    assert sampler.sample([], OPTIONS) == []


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99), weights=st.sampled_from([(1, 0), (0, 1), (2, 0, 0)]))
def test_a_mixture_of_one_is_that_one(seed, weights):
    options = SamplingOptions(max_new_tokens=4, samples_per_prompt=2, seed=seed)
    mixture = Mixture((FIRST, SECOND, FIRST)[: len(weights)], tuple(map(float, weights)))
    expected = (FIRST, SECOND)[weights.index(max(weights))].sample(PROMPTS, options)
    assert completions(mixture.sample(PROMPTS, options)) == completions(expected)


def test_a_mixture_draws_in_its_proportions():
    class Fixed:
        def __init__(self, token):
            self.token = token

        def sample(self, prompts, options):
            from accordant.sampling.samples import Sample

            return [[Sample((self.token,))] * options.samples_per_prompt for _ in prompts]

    options = SamplingOptions(samples_per_prompt=2000)
    ((*row,),) = Mixture((Fixed(1), Fixed(2)), (3.0, 1.0)).sample([[5]], options)
    share = sum(sample.completion == (1,) for sample in row) / len(row)
    assert abs(share - 0.75) < 4 * (0.75 * 0.25 / 2000) ** 0.5


@pytest.mark.parametrize("weights", [(1.0,), (1.0, -1.0), (0.0, 0.0)])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        Mixture((FIRST, SECOND), weights)
