"""Adapters: nothing changes at first, only they train, and switched off they are gone."""

from contextlib import suppress

import pytest
import torch

from accordant.base.errors import UserError
from accordant.models.adapters import (
    LoraOptions,
    attach_lora,
    is_adapted,
    reference_mode,
    without_wrappers,
)
from tests.families import CONFIGS, tiny_model

TOKENS = torch.arange(1, 13).reshape(2, 6)


def logits(model):
    return model(TOKENS).logits


def shake(model):
    """Give the adapter an effect."""
    torch.manual_seed(5)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data.normal_()


@pytest.mark.parametrize("family", CONFIGS)
def test_a_fresh_adapter_changes_no_score_and_a_trained_one_does(family):
    plain = logits(tiny_model(family))
    model = attach_lora(tiny_model(family), LoraOptions(rank=2))
    assert torch.equal(logits(model), plain)
    shake(model)
    assert not torch.allclose(logits(model), plain, atol=1e-2)


@pytest.mark.parametrize("family", CONFIGS)
def test_the_reference_is_the_model_before_its_adapter(family):
    plain = logits(tiny_model(family))
    model = attach_lora(tiny_model(family), LoraOptions(rank=2, dropout=0.5))
    shake(model)
    model.train()
    with reference_mode(model):
        reference = logits(model)
        assert not reference.requires_grad
    assert torch.equal(reference, plain)
    assert model.training
    assert logits(model).requires_grad


def test_reference_mode_restores_every_training_flag_even_after_an_error():
    model = attach_lora(tiny_model("gpt2"), LoraOptions(rank=2, dropout=0.5))
    model.train()
    model.base_model.model.transformer.h[0].eval()
    before = [module.training for module in model.modules()]
    during = []
    with suppress(RuntimeError), reference_mode(model):
        during = [module.training for module in model.modules()]
        raise RuntimeError("inside")
    assert during
    assert not any(during)
    assert [module.training for module in model.modules()] == before
    shake(model)
    assert not torch.allclose(logits(model.eval()), logits(tiny_model("gpt2")), atol=1e-2)


def test_reference_mode_leaves_a_plain_model_as_it_is():
    model = tiny_model("llama").train()
    with reference_mode(model):
        assert not logits(model).requires_grad
    assert logits(model).requires_grad


@pytest.mark.parametrize("family", CONFIGS)
def test_only_adapter_weights_train(family):
    model = attach_lora(tiny_model(family), LoraOptions(rank=2))
    logits(model).sum().backward()
    trained = {name: p for name, p in model.named_parameters() if p.grad is not None}
    assert trained
    assert all("lora_" in name for name in trained)


def test_every_linear_layer_but_the_head_carries_the_adapter():
    model = attach_lora(tiny_model("llama"), LoraOptions(rank=2))
    named = {
        n.split(".lora_A")[0].rsplit(".", 1)[-1]
        for n, _ in model.named_parameters()
        if "lora_A" in n
    }
    assert named == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_adapter_weights_are_float32_on_a_bfloat16_model():
    model = attach_lora(tiny_model("llama").bfloat16(), LoraOptions(rank=2))
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}


def test_a_seed_fixes_the_adapter_and_leaves_the_global_generator_alone():
    def first_half(seed):
        model = attach_lora(tiny_model("llama"), LoraOptions(rank=2), seed=seed)
        return torch.cat([p.flatten() for n, p in model.named_parameters() if "lora_A" in n])

    assert torch.equal(first_half(1), first_half(1))
    assert not torch.equal(first_half(1), first_half(2))
    model = tiny_model("llama")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    attach_lora(model, LoraOptions(rank=2))
    assert torch.rand(1) == expected


def test_an_unknown_layer_name_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match="q_proj") as caught:
        attach_lora(tiny_model("llama"), LoraOptions(target_modules=("attention.query",)))
    assert caught.value.where == "LoRA target modules"


def test_a_second_adapter_is_refused():
    model = attach_lora(tiny_model("llama"), LoraOptions(rank=2))
    with pytest.raises(UserError, match="already"):
        attach_lora(model, LoraOptions(rank=2))


@pytest.mark.parametrize("change", [{"rank": 0}, {"dropout": 1.0}, {"dropout": -0.1}])
def test_an_option_out_of_range_is_refused(change):
    with pytest.raises(UserError, match=next(iter(change))):
        LoraOptions(**change)


def test_adapters_are_seen_through_wrappers():
    class Wrapper(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

    model = attach_lora(tiny_model("llama"), LoraOptions(rank=2))
    assert is_adapted(Wrapper(model))
    assert without_wrappers(Wrapper(model)) is model
    assert not is_adapted(Wrapper(tiny_model("llama")))
