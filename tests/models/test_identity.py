"""The identity of weights changes with every weight, and with nothing else."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.models.adapters import LoraOptions, attach_lora
from accordant.models.identity import weights_identity
from accordant.scoring.installation import install
from tests.families import CONFIGS, tiny_model


@settings(max_examples=25, deadline=None)
@given(data=st.data(), family=st.sampled_from(["llama", "gpt2", "llama-tied-bias"]))
def test_any_changed_bit_of_any_weight_changes_the_identity(data, family):
    model = tiny_model(family)
    before = weights_identity(model)
    parameters = list(model.parameters())
    weight = data.draw(st.sampled_from(range(len(parameters))))
    flat = parameters[weight].data.view(-1).view(torch.int32)
    place = data.draw(st.integers(0, flat.numel() - 1))
    bit = 1 << data.draw(st.integers(0, 30))
    flat[place] ^= bit
    assert weights_identity(model) != before
    flat[place] ^= bit
    assert weights_identity(model) == before


@pytest.mark.parametrize("family", CONFIGS)
def test_equal_models_have_equal_identities_and_others_do_not(family):
    assert weights_identity(tiny_model(family)) == weights_identity(tiny_model(family))
    assert weights_identity(tiny_model(family, seed=1)) != weights_identity(tiny_model(family))


def test_swapped_layers_and_another_type_are_other_models():
    model = tiny_model("llama")
    before = weights_identity(model)
    layers = model.model.layers
    first, second = layers[0].mlp.up_proj, layers[1].mlp.up_proj
    layers[0].mlp.up_proj, layers[1].mlp.up_proj = second, first
    assert weights_identity(model) != before
    assert weights_identity(tiny_model("llama").bfloat16()) != before


def test_a_changed_configuration_is_another_model():
    model = tiny_model("llama")
    before = weights_identity(model)
    model.config.rms_norm_eps *= 2
    assert weights_identity(model) != before


def test_what_changes_no_score_changes_no_identity(tmp_path):
    from transformers import AutoModelForCausalLM

    model = tiny_model("llama-tied-bias")
    before = weights_identity(model)
    model.config.use_cache = False
    model.config.pad_token_id = 3
    model.train()
    assert weights_identity(install(model)) == before
    model.save_pretrained(tmp_path)
    assert weights_identity(AutoModelForCausalLM.from_pretrained(tmp_path)) == before


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_the_base_under_an_adapter_keeps_its_identity(family):
    before = weights_identity(tiny_model(family))
    options = LoraOptions(rank=2, modules_to_save=("lm_head",) if family == "llama" else ())
    model = attach_lora(tiny_model(family), options)
    fresh = weights_identity(model)
    assert weights_identity(model, base_only=True) == before
    assert fresh != before
    for name, weight in model.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            weight.data.add_(1)
    assert weights_identity(model, base_only=True) == before
    assert weights_identity(model) != fresh


def test_an_adapters_scale_is_part_of_the_identity():
    one = attach_lora(tiny_model("llama"), LoraOptions(rank=2, alpha=2))
    two = attach_lora(tiny_model("llama"), LoraOptions(rank=2, alpha=4))
    assert weights_identity(one) != weights_identity(two)
