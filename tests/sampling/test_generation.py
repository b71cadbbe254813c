"""The sampler against transformers' own, and its distribution against the logits it draws from."""

import itertools
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from accordant.base.errors import UserError
from accordant.models.adapters import LoraOptions, attach_lora
from accordant.sampling.choice import gumbel_argmax, penalise_repetition, sequence_key, warp
from accordant.sampling.generation import generate
from accordant.sampling.samples import SamplingOptions
from accordant.sampling.stepper import ModelStepper
from accordant.scoring.installation import install
from tests.drawing import draw
from tests.families import CONFIGS, VOCABULARY, tiny_model

KEY = torch.tensor([sequence_key(0, [5], 0)], dtype=torch.int32)
PROMPTS = [[5, 9, 3], [7], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [20, 21, 22, 23], [5, 9, 3, 8]]


def transformers_greedy(model, prompt, count, stop=None, **settings):
    output = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=count,
        do_sample=False,
        eos_token_id=stop,
        pad_token_id=0,
        **settings,
    )
    return output[0, len(prompt) :].tolist()


def separate_logps(model, prompt, tokens):
    """Log-probabilities of one unpadded forward pass."""
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *tokens]])).logits[0].double()
    at = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return at.gather(1, torch.tensor(tokens)[:, None])[:, 0]


@pytest.mark.parametrize("family", CONFIGS)
def test_greedy_in_a_padded_batch_equals_transformers_one_by_one(family):
    model = tiny_model(family)
    found = draw(model, PROMPTS, SamplingOptions(max_new_tokens=24, temperature=0))
    for prompt, generation in zip(PROMPTS, found, strict=True):
        # Random models sometimes meet their own end-of-text id; -1 switches stopping off.
        assert list(generation.tokens) == transformers_greedy(model, prompt, 24, stop=-1)
        assert not generation.finished


@pytest.mark.parametrize("family", CONFIGS)
def test_log_probabilities_of_samples_are_those_of_a_separate_forward_pass(family):
    model = tiny_model(family)
    options = SamplingOptions(
        max_new_tokens=16, temperature=1.7, top_k=50, samples_per_prompt=3, stop_ids=(3, 50, 77)
    )
    found = draw(model, PROMPTS, options)
    for index, generation in enumerate(found):
        exact = separate_logps(model, PROMPTS[index // 3], list(generation.completion))
        logps = torch.tensor(generation.logps).double()
        torch.testing.assert_close(logps, exact, atol=2e-5, rtol=0)


def test_a_model_prepared_for_scoring_samples_the_same():
    options = SamplingOptions(max_new_tokens=20, samples_per_prompt=2)
    plain = draw(tiny_model("gemma2"), PROMPTS, options)
    assert draw(install(tiny_model("gemma2")), PROMPTS, options) == plain


def test_a_fresh_adapter_changes_no_sample():
    options = SamplingOptions(max_new_tokens=12, samples_per_prompt=2)
    plain = draw(tiny_model("llama"), PROMPTS, options)
    adapted = attach_lora(tiny_model("llama"), LoraOptions(rank=2))
    assert [g.tokens for g in draw(adapted, PROMPTS, options)] == [g.tokens for g in plain]


@settings(max_examples=15, deadline=None)
@given(
    batch_size=st.integers(1, 9),
    order=st.permutations(range(len(PROMPTS))),
    family=st.sampled_from(["llama", "mistral-window", "gpt2"]),
)
def test_samples_do_not_depend_on_the_batch_they_are_drawn_in(batch_size, order, family):
    model = tiny_model(family)
    options = SamplingOptions(
        max_new_tokens=12, samples_per_prompt=3, stop_ids=(3, 50, 77), batch_size=batch_size
    )
    together = draw(model, PROMPTS, SamplingOptions(12, 1.0, 1.0, 0, 0, (3, 50, 77), 3, 100))
    shuffled = draw(model, [PROMPTS[i] for i in order], options)
    for place, index in enumerate(order):
        for sample in range(3):
            a, b = together[3 * index + sample], shuffled[3 * place + sample]
            assert (a.tokens, a.stop_id) == (b.tokens, b.stop_id)


def test_a_seed_repeats_its_samples_and_another_seed_draws_others():
    model = tiny_model("llama")
    first = draw(model, PROMPTS, SamplingOptions(max_new_tokens=12, seed=1))
    assert draw(model, PROMPTS, SamplingOptions(max_new_tokens=12, seed=1)) == first
    assert draw(model, PROMPTS, SamplingOptions(max_new_tokens=12, seed=2)) != first


def test_a_repeated_prompt_gets_further_samples_of_the_same_series():
    model = tiny_model("llama")
    series = draw(model, [[5, 9]], SamplingOptions(max_new_tokens=12, samples_per_prompt=4))
    split = draw(model, [[5, 9], [5, 9]], SamplingOptions(max_new_tokens=12, samples_per_prompt=2))
    assert [g.tokens for g in split] == [g.tokens for g in series]
    assert len({g.tokens for g in series}) == 4


def test_sampling_leaves_the_global_generator_and_the_training_flags_alone():
    model = tiny_model("llama").train()
    model.lm_head.eval()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    draw(model, PROMPTS, SamplingOptions(max_new_tokens=3))
    assert torch.rand(1) == expected
    assert model.training
    assert not model.lm_head.training


def test_a_sequence_ends_at_the_first_stop_token_as_in_transformers():
    model = tiny_model("qwen2")
    free = draw(model, PROMPTS, SamplingOptions(max_new_tokens=30, temperature=0))
    stop = free[0].tokens[7]
    ended = draw(
        model, PROMPTS, SamplingOptions(max_new_tokens=30, temperature=0, stop_ids=(stop,))
    )
    assert ended[0].finished
    for prompt, whole, cut in zip(PROMPTS, free, ended, strict=True):
        at = whole.tokens.index(stop) if stop in whole.tokens else None
        assert cut.tokens == whole.tokens[:at]
        assert cut.stop_id == (None if at is None else stop)
        assert list(cut.completion) == transformers_greedy(model, prompt, 30, stop=stop)


def test_one_token_that_is_a_stop_token_is_an_empty_finished_answer():
    model = tiny_model("llama")
    everything = tuple(range(VOCABULARY))
    found = draw(model, PROMPTS, SamplingOptions(max_new_tokens=1, stop_ids=everything))
    assert all(g.finished and g.tokens == () and len(g.completion) == 1 for g in found)


def test_sampled_frequencies_match_the_models_distribution():
    model = tiny_model("llama")
    prompt, count = [5, 9, 3], 4000
    with torch.no_grad():
        exact = model(torch.tensor([prompt])).logits[0, -1].double().softmax(-1)
    found = draw(
        model,
        [prompt],
        SamplingOptions(max_new_tokens=1, samples_per_prompt=count, batch_size=count),
    )
    assert_frequencies(torch.tensor([g.tokens[0] for g in found]), exact)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "min_p"),
    [
        (0.5, 0, 1.0, 0.0),
        (1.0, 5, 1.0, 0.0),
        (1.3, 0, 0.8, 0.0),
        (2.0, 20, 0.6, 0.0),
        (1.5, 0, 1.0, 0.1),
        (1.5, 30, 0.95, 0.05),
    ],
)
def test_warped_samples_follow_transformers_warpers(temperature, top_k, top_p, min_p):
    from transformers import (
        MinPLogitsWarper,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    torch.manual_seed(0)
    logits = torch.randn(1, 40) * 2
    expected = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k:
        expected = TopKLogitsWarper(top_k)(None, expected)
    expected = TopPLogitsWarper(top_p)(None, expected)
    if min_p:
        expected = MinPLogitsWarper(min_p)(None, expected)
    warped = warp(logits, temperature, top_k, top_p, min_p)
    torch.testing.assert_close(warped.softmax(-1), expected.softmax(-1))
    rows = warped.expand(5000, -1).contiguous()
    draws = gumbel_argmax(rows, KEY.expand(5000, 2), torch.arange(5000))
    assert_frequencies(draws, expected[0].double().softmax(-1))


@pytest.mark.parametrize("penalty", [1.3, 0.7])
def test_a_repetition_penalty_is_transformers(penalty):
    from transformers import RepetitionPenaltyLogitsProcessor

    torch.manual_seed(0)
    logits, ids = torch.randn(3, 40), torch.randint(0, 40, (3, 9))
    seen = torch.zeros(3, 40, dtype=torch.bool).scatter(1, ids, True)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(ids, logits.clone())
    assert torch.equal(penalise_repetition(logits, seen, penalty), expected)


def test_penalised_answers_of_a_compacted_batch_are_transformers():
    model = tiny_model("llama")
    free = draw(model, PROMPTS, SamplingOptions(24, temperature=0, repetition_penalty=1.5))
    # Rows end at different steps, so that what a row has seen must move with it.
    stop = free[1].tokens[5]
    options = SamplingOptions(24, temperature=0, repetition_penalty=1.5, stop_ids=(stop,))
    for prompt, sample in zip(PROMPTS, draw(model, PROMPTS, options), strict=True):
        expected = transformers_greedy(model, prompt, 24, stop=stop, repetition_penalty=1.5)
        assert list(sample.completion) == expected


def test_log_probabilities_as_drawn_are_of_the_warped_distribution():
    model = tiny_model("llama")
    options = SamplingOptions(8, temperature=0.7, top_k=30, top_p=0.9, min_p=0.02)
    for prompt, sample in zip(PROMPTS, draw(model, PROMPTS, options), strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *sample.completion]])).logits[0]
        rows = warp(logits[len(prompt) - 1 : -1].float(), 0.7, 30, 0.9, 0.02).log_softmax(-1)
        expected = rows.gather(1, torch.tensor(sample.completion)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(sample.drawn_logps), expected, atol=1e-4, rtol=0)
    (plain, *_), (greedy, *_) = (
        draw(model, PROMPTS, SamplingOptions(8, temperature=value)) for value in (1.0, 0.0)
    )
    assert plain.drawn_logps == plain.logps
    assert greedy.drawn_logps == (0.0,) * 8


def test_a_nucleus_wider_than_the_first_candidates_is_exact():
    logits = torch.zeros(2, 3000)
    logits[1] = torch.arange(3000) * 0.01
    kept = warp(logits, 1.0, 0, 0.9).isfinite().sum(1)
    probabilities = logits[1].double().softmax(-1).sort(descending=True).values
    assert kept[0] == 3000  # equal logits stand or fall together
    assert kept[1] == int((probabilities.cumsum(0) < 0.9).sum()) + 1


def assert_frequencies(draws, exact):
    """Chi-square test over tokens that are expected at least five times, the rest pooled."""
    counts = torch.bincount(draws, minlength=len(exact)).double()
    assert counts[exact == 0].sum() == 0
    expected = exact * len(draws)
    common = expected >= 5
    observed = [*counts[common].tolist(), float(counts[~common].sum())]
    wanted = [*expected[common].tolist(), float(expected[~common].sum())]
    if wanted[-1] < 1e-9:
        observed, wanted = observed[:-1], wanted[:-1]
    assert stats.chisquare(observed, wanted, sum_check=False).pvalue > 1e-4


def test_progress_counts_up_to_all_sequences():
    calls = []
    found = draw(
        tiny_model("llama"),
        PROMPTS,
        SamplingOptions(max_new_tokens=6, samples_per_prompt=2, stop_ids=(3, 50), batch_size=4),
        lambda *numbers: calls.append(numbers),
    )
    assert calls[-1] == (10, 10, sum(len(g.completion) for g in found))
    assert calls == sorted(calls)


@pytest.mark.parametrize(
    "change",
    [
        {"max_new_tokens": 0},
        {"temperature": -1.0},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_k": -1},
        {"batch_size": 0},
        {"samples_per_prompt": 0},
        {"min_p": 1.0},
        {"repetition_penalty": 0.0},
    ],
)
def test_an_option_out_of_range_is_named(change):
    with pytest.raises(UserError, match=next(iter(change))):
        SamplingOptions(**change)


def test_more_tokens_than_positions_are_refused_before_sampling():
    with pytest.raises(UserError, match="256 positions"):
        draw(tiny_model("gpt2"), PROMPTS, SamplingOptions(max_new_tokens=250))


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        draw(tiny_model("llama"), [[1], []], SamplingOptions())


def text_of(ids):
    return "".join(chr(97 + token % 26) for token in ids)


def test_a_stop_string_ends_a_sequence_with_the_token_that_completes_it():
    model = tiny_model("llama")
    options = SamplingOptions(40, stop_ids=(3,), samples_per_prompt=4, batch_size=6)
    free = generate(ModelStepper(model), PROMPTS, options)
    stopped = replace(options, stop_strings=("ab", "q"))
    found = generate(ModelStepper(model), PROMPTS, stopped, decode=text_of)
    with pytest.raises(UserError, match="stop_strings"):
        draw(model, PROMPTS, stopped)
    ends = Counter()
    for whole, cut in zip(itertools.chain(*free), itertools.chain(*found), strict=True):
        text = text_of(whole.tokens)
        at = [text.index(stop) + len(stop) for stop in ("ab", "q") if stop in text]
        end = min(at, default=len(whole.completion))
        assert cut.completion == whole.completion[:end]
        assert cut.finished == (bool(at) or whole.finished)
        assert (cut.stop_id is None) == (bool(at) or whole.stop_id is None)
        ends[bool(at)] += 1
    assert min(ends.values()) > 1


def test_a_bias_moves_logits_and_forbids_tokens():
    model = tiny_model("llama")
    greedy = SamplingOptions(8, temperature=0)
    (best, *_) = draw(model, PROMPTS, greedy)
    bias = tuple((token, -float("inf")) for token in set(best.tokens))
    (other, *_) = draw(model, PROMPTS, replace(greedy, logit_bias=bias))
    assert not set(best.tokens) & set(other.tokens)
    (forced, *_) = draw(model, PROMPTS, replace(greedy, logit_bias=((17, 1e4),)))
    assert forced.tokens == (17,) * 8


def test_noise_is_of_its_sequence_and_place_alone():
    logits = torch.zeros(6000, 50)
    keys, places = KEY.expand(6000, 2), torch.arange(6000)
    draws = gumbel_argmax(logits, keys, places)
    some = torch.tensor([4000, 7, 123])
    assert torch.equal(gumbel_argmax(logits[:3], keys[:3], places[some]), draws[some])
    # Neither tokens nor successive places lean on each other.
    assert_frequencies(draws, torch.full((50,), 1 / 50, dtype=torch.float64))
    pairs = draws[1:] % 20 * 20 + draws[:-1] % 20
    table = torch.bincount(pairs, minlength=400).double().view(20, 20)
    assert stats.chi2_contingency(table.numpy()).pvalue > 1e-4
