"""Streams against the batched sampler, with and without a kept cache; text cut at characters."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from accordant.sampling.generation import generate
from accordant.sampling.samples import SamplingOptions
from accordant.sampling.stepper import ModelStepper
from accordant.sampling.streaming import ResumingStepper, stream_tokens, text_pieces
from tests.families import CONFIGS, tiny_model

OPTIONS = SamplingOptions(max_new_tokens=12, seed=4, stop_ids=(50,))


@pytest.mark.parametrize("family", CONFIGS)
def test_a_stream_is_the_first_sample_of_the_batched_sampler(family):
    model = ModelStepper(tiny_model(family))
    for prompt in ([5, 9, 3], list(range(1, 40))):
        streamed = tuple(stream_tokens(model, prompt, OPTIONS))
        assert streamed == generate(model, [prompt], OPTIONS)[0][0].tokens


@pytest.mark.parametrize("family", CONFIGS)
def test_turns_over_a_kept_cache_equal_turns_from_scratch(family):
    model = tiny_model(family)
    memory, prompt = ResumingStepper(model), [5, 9, 3]
    for turn in range(4):
        fresh = list(stream_tokens(ModelStepper(model), prompt, OPTIONS, ordinal=turn))
        assert list(stream_tokens(memory, prompt, OPTIONS, ordinal=turn)) == fresh
        prompt = [*prompt, *fresh, 11 + turn, 12]
    # A prompt that parts from the kept one early, as after a reset.
    other = [5, 9, 60, 61, 62]
    fresh = list(stream_tokens(ModelStepper(model), other, OPTIONS))
    assert list(stream_tokens(memory, other, OPTIONS)) == fresh


def test_a_kept_cache_spares_the_tokens_it_holds(monkeypatch):
    model = tiny_model("llama")
    memory, prompt = ResumingStepper(model), list(range(1, 40))
    answer = list(stream_tokens(memory, prompt, OPTIONS))
    fed = []
    forward = model.forward

    def counting(**inputs):
        fed.append(inputs["input_ids"].shape[1])
        return forward(**inputs)

    monkeypatch.setattr(model, "forward", counting)
    list(stream_tokens(memory, [*prompt, *answer, 60, 61], OPTIONS))
    # The last sampled token was never fed, and two are new.
    assert fed[0] <= 3


def test_a_stream_that_is_closed_early_leaves_a_sound_memory():
    model = tiny_model("llama")
    memory, prompt = ResumingStepper(model), [5, 9, 3]
    tokens = stream_tokens(memory, prompt, SamplingOptions(max_new_tokens=12))
    said = [next(tokens) for _ in range(3)]
    tokens.close()
    assert memory.tokens == [*prompt, *said][: len(memory.tokens)]
    assert int(memory.state.cache.positions) == len(memory.tokens)
    longer = [*prompt, *said, 7]
    fresh = list(stream_tokens(ModelStepper(model), longer, OPTIONS))
    assert list(stream_tokens(memory, longer, OPTIONS)) == fresh


def test_a_failing_forward_clears_the_memory(monkeypatch):
    model = tiny_model("llama")
    memory = ResumingStepper(model)
    list(stream_tokens(memory, [5, 9, 3], OPTIONS))

    def failing(**inputs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(model, "forward", failing)
        with pytest.raises(KeyboardInterrupt):
            list(stream_tokens(memory, [5, 9, 3, 4, 4], OPTIONS))
    assert memory.tokens == []
    assert memory.state is None


def byte_tokenizer():
    """One token per byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core)


@pytest.mark.parametrize(
    "text", ["plain words", "naïve café", "日本語 🙂🙂 ok", " leading  blanks\n\n", ""]
)
def test_pieces_join_to_the_text_and_none_shows_half_a_character(text):
    tokenizer = byte_tokenizer()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(ids) == len(text.encode())
    pieces = list(text_pieces(tokenizer, iter(ids)))
    assert "".join(pieces) == text
    assert not any("�" in piece for piece in pieces)


def test_a_text_that_ends_in_half_a_character_still_ends():
    tokenizer = byte_tokenizer()
    ids = tokenizer("ab🙂", add_special_tokens=False)["input_ids"][:-1]
    assert "".join(text_pieces(tokenizer, iter(ids))) == tokenizer.decode(ids)
