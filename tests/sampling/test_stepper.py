"""Steppers: rows kept, repeated and forked, and several models that advance as one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.sampling.generation import generate
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.sampling.stepper import Guided, ModelStepper
from accordant.sampling.streaming import ResumingStepper, stream_tokens
from tests.families import CONFIGS, VOCABULARY, tiny_model

PROMPTS = [[5, 9, 3], [7], [1, 2, 3, 4, 5, 6, 7, 8]]
LLAMA = tiny_model("llama")


def first(logits, _):
    return logits[0]


def mean(logits, _):
    return sum(row.log_softmax(-1) for row in logits) / len(logits)


def exact_logits(model, texts):
    """Of one unpadded forward pass each."""
    with torch.no_grad():
        return torch.stack([model(torch.tensor([text])).logits[0, -1].float() for text in texts])


@settings(max_examples=20, deadline=None)
@given(
    family=st.sampled_from(["llama", "mistral-window", "gemma2", "gpt2"]),
    actions=st.lists(
        st.one_of(
            st.tuples(st.just("advance"), st.integers(0, VOCABULARY - 1)),
            st.tuples(st.just("keep"), st.lists(st.integers(0, 2), min_size=1, max_size=4)),
        ),
        max_size=6,
    ),
)
def test_rows_that_are_advanced_dropped_repeated_and_forked_are_the_texts_they_hold(
    family, actions
):
    model = tiny_model(family)
    stepper = ModelStepper(model)
    guided = Guided([stepper, ModelStepper(model)], mean)
    texts = [list(p) for p in PROMPTS]
    state, both = stepper.start(PROMPTS, 1, 9), guided.start(PROMPTS, 1, 9)
    for name, argument in actions:
        if name == "advance":
            # Another token for every row, so that mixed-up rows show.
            tokens = [(argument + row) % VOCABULARY for row in range(len(texts))]
            for text, token in zip(texts, tokens, strict=True):
                text.append(token)
            stepper.advance(state, torch.tensor(tokens))
            guided.advance(both, torch.tensor(tokens))
        else:
            rows = [row % len(texts) for row in argument]
            texts = [list(texts[row]) for row in rows]
            stepper.keep(state, torch.tensor(rows))
            guided.keep(both, torch.tensor(rows))
    exact = exact_logits(model, texts)
    torch.testing.assert_close(stepper.logits(state), exact, atol=1e-4, rtol=0)
    torch.testing.assert_close(guided.model_logits(both), exact, atol=1e-4, rtol=0)
    torch.testing.assert_close(guided.logits(both), exact.log_softmax(-1), atol=1e-4, rtol=0)
    for text, tokens, written in zip(
        texts, both.tokens.tolist(), both.written.tolist(), strict=True
    ):
        assert tokens == [*text[len(text) - written :], *[-1] * (9 - written)]


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_a_model_guided_by_itself_samples_as_it_does_alone(family):
    model = tiny_model(family)
    options = SamplingOptions(12, samples_per_prompt=3, stop_ids=(3, 50, 77))
    alone = LocalSampler(model).sample(PROMPTS, options)
    other = ModelStepper(tiny_model(family, seed=1))
    assert (
        LocalSampler(Guided([ModelStepper(model), other], first)).sample(PROMPTS, options) == alone
    )


def test_a_guided_sample_knows_the_model_and_what_it_was_drawn_from():
    models = [tiny_model("llama"), tiny_model("llama", seed=1)]
    guided = Guided([ModelStepper(m) for m in models], mean)
    options = SamplingOptions(6, samples_per_prompt=2)
    for prompt, row in zip(PROMPTS, generate(guided, PROMPTS, options), strict=True):
        for sample in row:
            texts = [[*prompt, *sample.completion[:n]] for n in range(len(sample.completion))]
            views = [exact_logits(model, texts).log_softmax(-1) for model in models]
            drawn = (sum(views) / 2).log_softmax(-1)
            at = torch.tensor(sample.completion)[:, None]
            for rows, numbers in ((views[0], sample.logps), (drawn, sample.drawn_logps)):
                expected = rows.gather(1, at)[:, 0]
                torch.testing.assert_close(torch.tensor(numbers), expected, atol=1e-4, rtol=0)


def test_a_guided_stream_equals_the_batch_and_resumes():
    models = [tiny_model("llama"), tiny_model("llama", seed=1)]
    guided = Guided([ModelStepper(m) for m in models], mean)
    kept = Guided([ResumingStepper(m) for m in models], mean)
    options = SamplingOptions(8, seed=2, stop_ids=(50,))
    prompt = [5, 9, 3]
    for _ in range(2):
        ((sample,),) = generate(guided, [prompt], options)
        assert tuple(stream_tokens(kept, prompt, options)) == sample.tokens
        prompt = [*prompt, *sample.tokens, 60, 61]


def test_models_of_other_vocabularies_are_refused_with_their_sizes():
    other = ModelStepper(LLAMA, vocabulary=100)
    with pytest.raises(UserError, match="131, 100 tokens"):
        Guided([ModelStepper(LLAMA), other], first)
    cut = Guided([ModelStepper(LLAMA, vocabulary=100), other], first)
    assert cut.logits(cut.start(PROMPTS, 2, 1)).shape == (6, 100)


def test_guided_models_are_bound_by_the_shortest_and_left_as_they_were():
    short, long = tiny_model("gpt2").train(), tiny_model("llama").train()
    long.config.max_position_embeddings = 300
    guided = Guided([ModelStepper(long), ModelStepper(short)], mean)
    assert guided.positions == 256
    with pytest.raises(UserError, match="256 positions"):
        generate(guided, PROMPTS, SamplingOptions(max_new_tokens=250))
    generate(guided, PROMPTS, SamplingOptions(max_new_tokens=2))
    assert short.training
    assert long.training


def test_a_kept_cache_refuses_a_second_sequence():
    stepper = ResumingStepper(LLAMA)
    with pytest.raises(ValueError, match="one sequence"):
        stepper.start(PROMPTS, 1, 1)
    with pytest.raises(ValueError, match="one sequence"):
        stepper.keep(stepper.start([[5]], 1, 1), torch.tensor([0, 0]))


def test_every_family_has_a_vocabulary_and_positions():
    for family in CONFIGS:
        stepper = ModelStepper(tiny_model(family))
        assert (stepper.vocabulary, stepper.positions) == (VOCABULARY, 256)
