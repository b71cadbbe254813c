"""Slots: rows that leave and enter in place, and a step that asks its device nothing."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, RecurrentGemmaConfig

from accordant.decoding.guides.registry import bind_guide
from accordant.sampling.batch import Batch
from accordant.sampling.padded import Padded, Recomputed
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.sampling.slots import Slots, batch_kind, has_slots
from accordant.sampling.stepper import Guided, ModelStepper
from accordant.scoring.engine import score
from accordant.scoring.installation import install
from accordant.tokens.trees import TokenTree
from tests.drawing import draw
from tests.families import APART, CONFIGS, VOCABULARY, tiny_model

PROMPTS = [[5, 9, 3], [7], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [20, 21, 22, 23], [5, 9, 3, 8]]
KEYS = [(n, 7) for n in range(len(PROMPTS))]


class Asked(TorchDispatchMode):
    """Refuses what makes a host wait for its device, or gives a shape that hangs on numbers."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket._qualified_op_name
        assert name not in {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select"}
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("family", CONFIGS)
def test_every_family_has_slots(family):
    model = tiny_model(family)
    assert has_slots(model)
    # Sinks and soft caps take the path of two products, which no test of few rows would.
    rows = [[n + 1, 7, n] for n in range(12)]
    with torch.inference_mode():
        slots, logits = Slots.filled(model, rows, 4)
        exact = torch.stack([model(torch.tensor([row])).logits[0, -1] for row in rows])
        torch.testing.assert_close(logits, exact, atol=1e-4, rtol=0)
        logits = slots.feed(model, torch.full((12, 1), 9))
        exact = torch.stack([model(torch.tensor([[*row, 9]])).logits[0, -1] for row in rows])
    torch.testing.assert_close(logits, exact, atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_a_family_without_slots_is_padded_and_samples_the_same(family, monkeypatch):
    model = tiny_model(family)
    options = SamplingOptions(12, samples_per_prompt=2, stop_ids=(3, 50, 77), batch_size=4)
    expected = [sample.completion for sample in draw(model, PROMPTS, options)]
    monkeypatch.setattr("accordant.sampling.stepper.batch_kind", lambda _: Padded)
    monkeypatch.setattr("accordant.sampling.stepper.has_slots", lambda _: False)
    stepper = ModelStepper(model)
    assert isinstance(stepper.start(PROMPTS, 1, 1).cache, Padded)
    assert [sample.completion for sample in draw(model, PROMPTS, options)] == expected


@pytest.mark.parametrize("family", APART)
def test_a_family_apart_samples_from_what_it_scores(family):
    model = install(tiny_model(family))
    prompts = [(5, 6, 7), (8, 9, 10, 11, 12), (8, 9, 10, 11, 13)]
    options = SamplingOptions(6, samples_per_prompt=2, stop_ids=())
    for prompt, samples in zip(prompts, LocalSampler(model).sample(prompts, options), strict=True):
        trees = [TokenTree(prompt, (sample.tokens,)) for sample in samples]
        with torch.no_grad():
            exact = score(model, trees).logps
        drawn = torch.tensor([p for sample in samples for p in sample.logps])
        torch.testing.assert_close(drawn, exact, atol=1e-4, rtol=0)


def test_states_are_recomputed_where_rounding_would_hide_a_leak():
    assert batch_kind(tiny_model("mamba").bfloat16()) is Recomputed


def test_a_recurrent_family_has_no_slots():
    config = RecurrentGemmaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        attention_window_size=8,
    )
    assert not has_slots(AutoModelForCausalLM.from_config(config).eval())


@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(9, stop_ids=(3, 50)),
        SamplingOptions(9, 0.7, 1.0, 5, min_p=0.1, repetition_penalty=1.3, logit_bias=((4, 2.0),)),
        SamplingOptions(9, temperature=0),
    ],
)
@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2", "mistral-window"])
def test_a_step_asks_its_device_nothing_and_writes_in_place(family, options):
    guide = bind_guide("average", 2)
    stepper = Guided([ModelStepper(tiny_model(family, seed=n)) for n in (0, 1)], guide)
    batch = Batch.start(stepper, PROMPTS, 1, KEYS, options)
    held = [batch.last, batch.tokens, batch.written, batch.state.states[0].logits]
    places = [tensor.data_ptr() for tensor in held]
    # Places that are counted are a function of tensors alone: the same step over and over.
    for _ in range(4):
        with Asked():
            batch.step()
    assert [tensor.data_ptr() for tensor in held] == places
    assert batch.written.tolist() == [5] * len(PROMPTS)


def test_rows_that_end_make_room_and_every_prompt_is_computed_once(monkeypatch):
    model = tiny_model("llama")
    fed = []
    forward = type(model).forward

    def counting(self, **inputs):
        fed.append(tuple(inputs["input_ids"].shape))
        return forward(self, **inputs)

    has_slots(model)
    monkeypatch.setattr(type(model), "forward", counting)
    prompts = [[n + 1] * (3 + n % 5) for n in range(24)]
    options = SamplingOptions(16, samples_per_prompt=2, stop_ids=tuple(range(60)), batch_size=12)
    samples = draw(model, prompts, options)
    assert any(sample.finished for sample in samples)
    assert sum(rows for rows, new in fed if new > 1) == len(prompts)
    # Rows that ended did not stay: without room for others there would be 16 steps a dozen.
    steps = [rows for rows, new in fed if new == 1]
    assert max(steps) <= 12
    assert sum(steps) < 16 * 48


def test_buffers_grow_and_rows_that_enter_are_what_they_were():
    model = tiny_model("gemma3")
    stepper = ModelStepper(model)
    long, short = [9] * 60, [4, 5]
    with stepper.evaluating():
        state = stepper.start([long, short], 1, 10)
        for token in range(8):
            stepper.advance(state, torch.tensor([token, token]))
        assert state.cache.capacity > 64
        stepper.enter(state, torch.tensor([1]), stepper.start([[7, 8, 9]], 1, 10))
        stepper.advance(state, torch.tensor([8, 1]))
        with torch.no_grad():
            for row, text in enumerate([[*long, *range(9)], [7, 8, 9, 1]]):
                exact = model(torch.tensor([text])).logits[0, -1]
                torch.testing.assert_close(state.logits[row], exact, atol=1e-4, rtol=0)


def test_sinks_take_probability_and_give_nothing():
    from accordant.sampling.slots import attend

    torch.manual_seed(0)
    slots = Slots(2, 5, torch.device("cpu"))
    slots.positions.copy_(torch.tensor([4, 2]))
    query, key, value = (torch.randn(2, n, p, 8) for n, p in ((4, 1), (2, 5), (2, 5)))
    sinks = torch.randn(4)
    output, _ = attend(torch.nn.Identity(), query, key, value, s_aux=sinks, slots=slots)
    for row, length in ((0, 5), (1, 3)):
        for head in range(4):
            dots = key[row, head // 2, :length] @ query[row, head, 0] / 8**0.5
            chances = torch.cat([dots, sinks[head : head + 1]]).softmax(0)[:-1]
            exact = chances @ value[row, head // 2, :length]
            torch.testing.assert_close(output[row, 0, head], exact)


def test_weights_laid_out_for_few_rows_give_the_same_bits_and_follow_their_changes(monkeypatch):
    model = tiny_model("llama").bfloat16()
    plain, stepper = ModelStepper(model), ModelStepper(model)
    laid_out = []
    lay_out = torch.ops.mkldnn._reorder_linear_weight
    monkeypatch.setattr(
        torch.ops.mkldnn, "_reorder_linear_weight", lambda *a: laid_out.append(a) or lay_out(*a)
    )
    options = SamplingOptions(24, temperature=0, logit_bias=((3, -9.0),))
    for changed in (False, True):
        if changed:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(1.1)
        with monkeypatch.context() as patch:
            patch.setattr("accordant.sampling.packed.WORTH", 10**9)
            expected = draw(plain, PROMPTS, options)
        assert not laid_out
        assert draw(stepper, PROMPTS, options) == expected
        linear = [layer for layer in model.modules() if type(layer) is torch.nn.Linear]
        assert len(laid_out) == len(linear)
        # What is laid out stays, and nothing of it is left on the model.
        assert draw(stepper, PROMPTS, options) == expected
        assert len(laid_out) == len(linear)
        assert not any("forward" in vars(layer) for layer in linear)
        laid_out.clear()


def test_a_copied_model_is_asked_again():
    model = tiny_model("llama")
    assert has_slots(model)
    assert has_slots(copy.deepcopy(model))
