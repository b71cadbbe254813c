"""Plans and estimates against real models and what autograd really keeps."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig
from transformers.integrations import integration_utils

from accordant.base.errors import UserError
from accordant.models.adapters import LoraOptions, attach_lora
from accordant.models.facts import read_model_config
from accordant.runs.settings import AlignConfig
from accordant.scoring.engine import score
from accordant.scoring.installation import install
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant.training.arguments import check_machine, training_arguments
from accordant.training.estimate import activation_bytes, estimate_memory, read_shapes
from accordant.training.plan import EARNED, make_plan
from accordant.training.settings import TrainingSettings
from tests.families import CONFIGS, tiny_model
from tests.training.runs import make_config, make_examples

# Deep and narrow enough in vocabulary for layers to outweigh the head, as in real models.
CONFIG = LlamaConfig(
    vocab_size=97,
    hidden_size=64,
    intermediate_size=160,
    num_hidden_layers=6,
    num_attention_heads=4,
    num_key_value_heads=2,
)


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_parameters_are_counted_exactly_without_weights(family: str) -> None:
    shapes = read_shapes(CONFIGS[family], AlignConfig())
    expected = sum(p.numel() for p in tiny_model(family).parameters())
    assert (shapes.parameters, shapes.adapter) == (expected, 0)


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2", "gpt2"])
@pytest.mark.parametrize("targets", [("all-linear",), ("q_proj", "v_proj")])
def test_adapter_weights_are_counted_exactly(family: str, targets: tuple[str, ...]) -> None:
    if family == "gpt2" and targets != ("all-linear",):
        targets = ("c_attn",)
    shapes = read_shapes(CONFIGS[family], AlignConfig(lora_rank=3, lora_targets=targets))
    names = "all-linear" if targets == ("all-linear",) else targets
    adapted = attach_lora(tiny_model(family), LoraOptions(rank=3, target_modules=names))
    assert shapes.adapter == sum(p.numel() for p in adapted.parameters() if p.requires_grad)


def kept_bytes(model: torch.nn.Module, tree: TokenTree) -> int:
    """Bytes autograd keeps for the backward pass, weights left out, shared storage once."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    alive = []  # a freed storage's address may be given to another

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        return keep(tensor)

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        score(model, [tree])
    return sum(kept.values())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("rank", [0, 4])
def test_activations_are_estimated_within_a_third(precision: str, rank: int) -> None:
    torch.manual_seed(0)
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(CONFIG, dtype=torch.float32)
    model = model.to(torch.bfloat16) if precision == "bf16" else model
    if rank:
        model = attach_lora(model, LoraOptions(rank=rank))
    model = install(model, verify=False)
    tree = TokenTree(tuple([1] * 300), (tuple([2] * 20), tuple([3] * 20)))
    config = AlignConfig(precision=precision, lora_rank=rank)
    expected = kept_bytes(model, tree) / tree.num_tokens
    estimate = activation_bytes(read_shapes(CONFIG, config), config)
    assert estimate == pytest.approx(expected, rel=1 / 3)


def test_memory_follows_the_settings() -> None:
    def total(processes: int = 1, **settings: object) -> int:
        config = AlignConfig(**settings)
        shapes = replace(read_shapes(CONFIG, config), parameters=10**9)
        return estimate_memory(shapes, config, 4096, processes=processes).total

    full = total()
    assert total(lora_rank=8) < full
    assert total(gradient_checkpointing=True) < full
    assert total(sharding="fsdp2", processes=4) < total(sharding="fsdp2", processes=2) < full
    assert total(reference="online") > full
    assert total(optimizer_moments="float32") > full
    assert total(precision="float32") > full


def test_a_plan_counts_examples_steps_rows_and_disk(tmp_path: Path) -> None:
    tree = TokenTree((1,) * 10, ((2,) * 5, (3,) * 5))
    train = [Example("comparison", (tree,), index) for index in range(10)]
    config = make_config(tmp_path, max_steps=None, epochs=2.0, batch_size=4, token_budget=40)
    config = config.model_copy(update={"save_steps": 7})
    plan = make_plan(CONFIGS["llama"], config, train, train[:3])
    assert (plan.examples, plan.held_out, plan.tokens, plan.steps) == (10, 3, 200, 6)
    # Two examples of 20 tokens fill a row; batches of 4, 4 and 2 take 2 + 2 + 1 of them.
    assert (plan.rows, plan.largest_row) == (5, 40)
    assert plan.trained == plan.parameters
    assert plan.disk == 4 * plan.parameters, "no checkpoint is due before the end"
    saving = make_plan(CONFIGS["llama"], config.model_copy(update={"save_steps": 2}), train)
    assert saving.disk == 4 * plan.parameters + 3 * (4 + 8) * plan.parameters
    assert any("all" in line and "weights" in line for line in plan.lines())


def test_a_plan_of_an_adapter_names_its_share(tmp_path: Path) -> None:
    config = make_config(tmp_path, lora_rank=4)
    plan = make_plan(CONFIGS["llama"], config, make_examples("dpo", 4))
    assert plan.trained < plan.parameters
    assert any("adapter of" in line for line in plan.lines())


def test_a_configuration_that_cannot_be_read_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-type"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="configuration cannot be read"):
        read_model_config(str(tmp_path))


def test_a_configuration_is_read_from_a_folder(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path)
    config = read_model_config(str(tmp_path))
    assert read_shapes(config, AlignConfig()).layers == CONFIGS["llama"].num_hidden_layers


def plan_of(folder: Path, **settings: object) -> str:
    config = make_config(folder, max_steps=1000, **settings)
    return make_plan(CONFIGS["llama"], config, make_examples("dpo", 4)).not_compiled


def test_a_plan_says_whether_layers_are_compiled_and_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/c++")
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: True)
    assert plan_of(tmp_path, compile="off") == "switched off"
    assert plan_of(tmp_path, compile="on") == ""
    assert plan_of(tmp_path) == "too short a run to earn it"
    monkeypatch.setitem(EARNED, "cpu", 1e6)
    assert plan_of(tmp_path) == ""
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    assert plan_of(tmp_path) == "it gains little on this processor"
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert plan_of(tmp_path) == "there is no C++ compiler"
    with pytest.raises(UserError, match="no C\\+\\+ compiler"):
        plan_of(tmp_path, compile="on")


@pytest.mark.parametrize(
    ("settings", "where", "says"),
    [
        ({"report_to": ("wandb",)}, "--report-to", r"pip install 'accordant\[wandb\]'"),
        ({"report_to": ("comet_ml",)}, "--report-to", "pip install comet-ml"),
        ({"report_to": ("wandbb",)}, "--report-to", "no tracker 'wandbb'"),
        ({"optimizer": "adamw-8bit"}, "--optimizer", r"pip install 'accordant\[8bit\]'"),
        ({"optimizer": "torch:Nothing"}, "--optimizer", "no optimiser"),
        ({"sharding": "fsdp2"}, "--sharding", "there is one"),
    ],
)
def test_what_is_missing_is_said_in_the_plan(
    settings: dict[str, Any], where: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integration_utils, "get_available_reporting_integrations", list)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=says) as error:
        check_machine(TrainingSettings(**settings), torch.device("cpu"))
    assert error.value.where == where


def test_bfloat16_arithmetic_needs_no_word_on_a_processor(tmp_path: Path) -> None:
    settings = TrainingSettings(precision="bf16-mixed", output_dir=tmp_path)
    made = training_arguments(settings, feedback="comparison", steps=3, held_out=0)
    assert made.bf16


def test_a_default_rate_that_moves_little_is_said(tmp_path: Path) -> None:
    train = make_examples("dpo", 4)
    config = make_config(tmp_path, max_steps=20, learning_rate=None)
    plan = make_plan(CONFIGS["llama"], config, train)
    assert any("little for 20 steps (--learning-rate 1e-05" in line for line in plan.lines())
    for change in ({"max_steps": 200}, {"learning_rate": 1e-6}):
        plan = make_plan(CONFIGS["llama"], config.model_copy(update=change), train)
        assert not any("little for" in line for line in plan.lines())
