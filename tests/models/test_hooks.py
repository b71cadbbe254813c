"""Edits and readings hold wherever the model runs, and are gone afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from accordant.base.errors import UserError
from accordant.models.adapters import LoraOptions, attach_lora, base_model_of
from accordant.models.hooks import Edit, captured, decoder_layers, edited
from accordant.sampling.generation import generate
from accordant.sampling.samples import SamplingOptions
from accordant.sampling.stepper import ModelStepper
from accordant.scoring.apart import plain_logps
from accordant.scoring.engine import score
from accordant.scoring.installation import install
from accordant.tokens.trees import TokenTree
from tests.families import CONFIGS, tiny_model

FAMILIES = sorted(CONFIGS)
SITES = ("layer", "heads", "mlp")
PLACES = [(layer, site) for layer in range(3) for site in SITES]
TOKENS = torch.arange(1, 13).reshape(2, 6)
TREES = [
    TokenTree(tuple(range(3, 10)), ((11, 12, 13, 14), (15, 16))),
    TokenTree((40,), ((41, 42, 43, 44, 45, 46, 47, 48),)),
]


def shift(layer: int, site: str, scale: float = 1.0) -> Edit:
    """Add a vector that is the same in every pass, of whatever width the site has."""
    return Edit(
        layer, site, lambda states: states + scale * torch.linspace(-1.0, 1.0, states.shape[-1])
    )


def hooks_of(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def shake(model: nn.Module) -> None:
    torch.manual_seed(5)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data.normal_(std=0.3)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_read_are_the_hidden_states_of_transformers(family: str) -> None:
    model = tiny_model(family)
    with torch.no_grad(), captured(model, [(i, "layer") for i in range(3)]) as states:
        expected = model(TOKENS, output_hidden_states=True).hidden_states
    for layer in range(2):
        assert torch.equal(states[layer, "layer"], expected[layer + 1])
    backbone = getattr(model, model.base_model_prefix)
    norm = getattr(backbone, "norm", getattr(backbone, "ln_f", None))
    # Transformers gives the last one after the final norm.
    assert torch.equal(norm(states[2, "layer"]), expected[3])


@pytest.mark.parametrize("family", FAMILIES)
def test_heads_are_what_the_projection_mixes_and_each_reaches_its_columns(family: str) -> None:
    model = tiny_model(family)
    layer = decoder_layers(model)[1]
    attention = getattr(layer, "self_attn", getattr(layer, "attn", None))
    outputs = []
    attention.register_forward_hook(lambda _, _args, output: outputs.append(output[0]))
    layer.mlp.register_forward_hook(lambda _, _args, output: outputs.append(output))
    with torch.no_grad(), captured(model, [(1, "heads"), (1, "mlp")]) as states:
        model(TOKENS)
    projection = getattr(attention, "o_proj", getattr(attention, "c_proj", None))
    assert torch.equal(projection(states[1, "heads"]), outputs[0])
    assert torch.equal(states[1, "mlp"], outputs[1])

    def silence_the_second_head(states: torch.Tensor) -> torch.Tensor:
        heads = states.unflatten(-1, (4, -1))
        return (heads * torch.tensor([1.0, 0.0, 1.0, 1.0])[:, None]).flatten(-2)

    with torch.no_grad(), edited(model, [Edit(1, "heads", silence_the_second_head)]):
        model(TOKENS)
    width = states[1, "heads"].shape[-1] // 4
    silent = states[1, "heads"].clone()
    silent[..., width : 2 * width] = 0
    assert torch.equal(projection(silent), outputs[2])


@pytest.mark.parametrize("family", FAMILIES)
def test_adding_zero_changes_nothing_to_the_bit(family: str) -> None:
    model = install(tiny_model(family))
    before, plain = score(model, TREES).logps, plain_logps(model, TREES[0])
    with edited(model, [shift(layer, site, scale=0.0) for layer, site in PLACES]):
        assert torch.equal(score(model, TREES).logps, before)
        assert all(map(torch.equal, plain_logps(model, TREES[0]), plain))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("layer", [1, -1])
def test_packed_plain_and_generated_scores_change_alike(family: str, site: str, layer: int) -> None:
    model = install(tiny_model(family), verify=False)
    before = score(model, TREES).logps
    options = SamplingOptions(max_new_tokens=8, samples_per_prompt=2)
    prompts = [tree.prompt for tree in TREES]  # of several lengths: the shorter one is padded
    with torch.no_grad(), edited(model, [shift(layer, site)]):
        found = score(model, TREES).logps
        expected = torch.cat([part for tree in TREES for part in plain_logps(model, tree)])
        sampled = generate(ModelStepper(model), prompts, options)
        for prompt, samples in zip(prompts, sampled, strict=True):
            tree = TokenTree(prompt, tuple(tuple(sample.tokens) for sample in samples))
            logps = torch.cat([torch.tensor(sample.logps) for sample in samples])
            torch.testing.assert_close(
                logps, torch.cat(plain_logps(model, tree)), atol=1e-4, rtol=1e-4
            )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert (found - before).abs().max() > 1e-2
    assert torch.equal(score(model, TREES).logps, before)


@pytest.mark.parametrize("family", FAMILIES)
def test_under_an_adapter_the_same_sites_are_found(family: str) -> None:
    model = install(attach_lora(tiny_model(family), LoraOptions(rank=2)), verify=False)
    shake(model)
    assert list(decoder_layers(model)) == list(decoder_layers(base_model_of(model)))
    before = score(model, TREES).logps
    with edited(model, [shift(1, site) for site in SITES]), captured(model, PLACES) as states:
        found = score(model, TREES).logps
        expected = torch.cat([part for tree in TREES for part in plain_logps(model, tree)])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert set(states) == set(PLACES)
    assert (found - before).abs().max() > 1e-2


def test_hooks_go_when_the_block_ends_however_it_ends() -> None:
    model = install(tiny_model("llama"))
    before = hooks_of(model)
    with edited(model, [shift(0, "layer"), shift(1, "heads")]):
        assert hooks_of(model) == before + 2
    assert hooks_of(model) == before
    with pytest.raises(UserError), edited(model, [Edit(0, "layer", lambda s: s[0])]):
        model(TOKENS)
    assert hooks_of(model) == before
    with pytest.raises(UserError), edited(model, [shift(0, "layer"), shift(3, "layer")]):
        pass
    assert hooks_of(model) == before


def test_edits_of_one_site_follow_each_other_and_are_read_as_made() -> None:
    model = tiny_model("qwen3")
    double, add = Edit(1, "mlp", lambda states: 2 * states), Edit(1, "mlp", lambda s: s + 1)
    with torch.no_grad(), captured(model, [(1, "mlp")]) as plain:
        model(TOKENS)
    outer, inner = edited(model, [double]), edited(model, [add])
    with torch.no_grad(), outer, inner, captured(model, [(-2, "mlp")]) as states:
        model(TOKENS)
    assert torch.equal(states[-2, "mlp"], 2 * plain[1, "mlp"] + 1)


def test_gradients_flow_through_edits_to_what_they_add() -> None:
    model = install(tiny_model("llama"))
    strength = torch.zeros((), requires_grad=True)

    def total(amount: torch.Tensor) -> torch.Tensor:
        edit = Edit(0, "layer", lambda s: s + amount * torch.linspace(-1, 1, 32))
        with edited(model, [edit]):
            return score(model, TREES).logps.sum()

    (slope,) = torch.autograd.grad(total(strength), strength)
    with torch.no_grad():
        step = torch.tensor(1e-2)
        measured = (total(step) - total(-step)) / (2 * step)
    assert slope.item() == pytest.approx(measured.item(), rel=1e-2)


def test_a_wider_direction_keeps_the_models_dtype() -> None:
    model = tiny_model("llama").to(torch.bfloat16)
    with torch.no_grad(), edited(model, [Edit(0, "layer", lambda s: s + torch.ones(32))]):
        assert model(TOKENS).logits.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (shift(3, "layer"), "there is no layer 3. The model has layers 0 to 2."),
        (shift(-4, "layer"), "there is no layer -4"),
        (shift(0, "attention"), "no site 'attention'. The sites are layer, heads, mlp."),
        (Edit(0, "mlp", lambda s: s[..., :3]), r"layer 0, mlp: .*\[2, 6, 3\], expected \[2, 6, 32"),
    ],
)
def test_what_cannot_be_edited_is_refused(edit: Edit, message: str) -> None:
    model = tiny_model("llama")
    with pytest.raises(UserError, match=message), edited(model, [edit]):
        model(TOKENS)


def test_a_family_without_known_layers_is_refused() -> None:
    model, edits = nn.Linear(2, 2), [shift(0, "mlp")]
    with pytest.raises(UserError, match="stand in no list"), edited(model, edits):
        pass
