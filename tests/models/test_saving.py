"""Saved folders are ordinary, whole or absent, and never written over others' work."""

import json
import os
import stat

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from accordant.base.errors import UserError
from accordant.models import saving
from accordant.models.adapters import LoraOptions, attach_lora
from accordant.models.identity import weights_identity
from accordant.models.loading import load_model, load_tokenizer
from accordant.models.merging import export_merged, merge_adapter
from accordant.models.saving import check_output_folder, save_model, saved_bytes
from accordant.models.sources import BASE_RECORD, resolve_source
from accordant.scoring.installation import install
from tests.families import CONFIGS, tiny_model
from tests.tokens.small_tokenizers import TOKENIZERS

TOKENS = torch.arange(1, 13).reshape(2, 6)
CARD = "---\nlicense: apache-2.0\n---\n# A model\n"


def logits(model):
    with torch.no_grad():
        return model(TOKENS).logits


def shaken_adapter(model):
    model = attach_lora(model, LoraOptions(rank=2))
    torch.manual_seed(5)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data.normal_(std=0.1)
    return model


@pytest.mark.parametrize("family", CONFIGS)
def test_a_saved_model_is_read_back_by_transformers_with_equal_scores(tmp_path, family):
    model, tokenizer = tiny_model(family), TOKENIZERS["chatml"]
    folder = save_model(model, tokenizer, tmp_path / "out", card=CARD, stop_ids=(4, 2))
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(folder)), logits(model))
    assert GenerationConfig.from_pretrained(folder).eos_token_id == [4, 2]
    assert AutoTokenizer.from_pretrained(folder).chat_template == tokenizer.chat_template
    assert (folder / "README.md").read_text() == CARD
    loaded = load_model(str(folder))
    assert loaded.source.kind == "folder"
    assert torch.equal(logits(loaded.model), logits(model))
    assert weights_identity(loaded.model) == weights_identity(model)


def test_a_model_prepared_for_scoring_is_saved_as_an_ordinary_one(tmp_path):
    model = tiny_model("llama-tied-bias")
    expected = logits(model)
    folder = save_model(install(model), TOKENIZERS["chatml"], tmp_path / "out", card=CARD)
    assert "accordant" not in (folder / "config.json").read_text()
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(folder)), expected)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_a_saved_adapter_is_read_back_on_its_base(tmp_path, family):
    tokenizer = TOKENIZERS["chatml"]
    base = save_model(tiny_model(family), tokenizer, tmp_path / "base", card=CARD)
    loaded = load_model(str(base))
    model = shaken_adapter(loaded.model)
    folder = save_model(model, tokenizer, tmp_path / "out", card=CARD, source=loaded.source)
    assert not (folder / "model.safetensors").exists()
    again = load_model(str(folder))
    assert again.source.kind == "adapter"
    torch.testing.assert_close(logits(again.model), logits(model))
    assert weights_identity(again.model, base_only=True) == weights_identity(tiny_model(family))
    plain = AutoModelForCausalLM.from_pretrained(base)
    torch.testing.assert_close(logits(PeftModel.from_pretrained(plain, folder)), logits(model))


def test_an_adapter_on_other_weights_than_its_own_is_refused(tmp_path):
    tokenizer = TOKENIZERS["chatml"]
    base = save_model(tiny_model("llama"), tokenizer, tmp_path / "base", card=CARD)
    loaded = load_model(str(base))
    folder = tmp_path / "out"
    save_model(shaken_adapter(loaded.model), tokenizer, folder, card=CARD, source=loaded.source)
    save_model(tiny_model("llama", seed=1), tokenizer, base, card=CARD, overwrite=True)
    with pytest.raises(UserError, match="other weights"):
        load_model(str(folder))


def test_an_adapter_trained_in_another_format_than_its_base_is_stored_in_is_read(tmp_path):
    tokenizer = TOKENIZERS["chatml"]
    stored = tiny_model("llama").bfloat16()
    base = save_model(stored, tokenizer, tmp_path / "base", card=CARD)
    loaded = load_model(str(base), dtype="float32")
    model = shaken_adapter(loaded.model)
    save_model(model, tokenizer, tmp_path / "out", card=CARD, source=loaded.source)
    again = load_model(str(tmp_path / "out"), dtype="float32")
    torch.testing.assert_close(logits(again.model), logits(model))
    assert load_model(str(tmp_path / "out")).model.get_base_model().dtype == torch.bfloat16


@pytest.mark.parametrize("family", ["llama", "gpt2", "llama-tied-bias"])
def test_a_merged_adapter_scores_as_the_adapted_model(tmp_path, family):
    tokenizer = TOKENIZERS["chatml"]
    base = save_model(tiny_model(family), tokenizer, tmp_path / "base", card=CARD)
    loaded = load_model(str(base))
    model = shaken_adapter(loaded.model)
    expected = logits(model)
    save_model(model, tokenizer, tmp_path / "adapter", card=CARD, source=loaded.source)
    folder = export_merged(str(tmp_path / "adapter"), tmp_path / "whole", card=CARD)
    whole = AutoModelForCausalLM.from_pretrained(folder)
    torch.testing.assert_close(logits(whole), expected, atol=1e-4, rtol=1e-4)
    assert not (folder / BASE_RECORD).exists()
    assert type(whole) is type(tiny_model(family))


@pytest.mark.parametrize(
    "options",
    [
        LoraOptions(rank=2, target_modules=("lm_head", "q_proj")),
        LoraOptions(rank=2, target_modules=("embed_tokens",)),
        LoraOptions(rank=2, target_modules=("q_proj",), modules_to_save=("lm_head",)),
    ],
    ids=["head", "embeddings", "whole head"],
)
def test_an_adapter_on_tied_embeddings_merges_to_the_model_that_was_trained(tmp_path, options):
    tokenizer = TOKENIZERS["chatml"]
    base = save_model(tiny_model("llama-tied-bias"), tokenizer, tmp_path / "base", card=CARD)
    loaded = load_model(str(base))
    start = logits(loaded.model)
    model = attach_lora(loaded.model, options)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "lora_A" not in name:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    expected = logits(model)
    assert (expected - start).abs().max() > 0.1
    save_model(model, tokenizer, tmp_path / "adapter", card=CARD, source=loaded.source)
    folder = export_merged(str(tmp_path / "adapter"), tmp_path / "whole", card=CARD)
    whole = AutoModelForCausalLM.from_pretrained(folder)
    torch.testing.assert_close(logits(whole), expected, atol=1e-4, rtol=1e-4)


def test_a_merge_that_is_another_model_is_refused(monkeypatch):
    model = shaken_adapter(tiny_model("llama"))
    monkeypatch.setattr(type(model.base_model), "merge_and_unload", lambda self: self.unload())
    with pytest.raises(UserError, match="merging changed the model: log-probabilities differ"):
        merge_adapter(model)


def test_merging_rounds_once():
    model = shaken_adapter(tiny_model("llama").bfloat16())
    exact = {}
    for name, module in model.named_modules():
        if hasattr(module, "get_delta_weight"):
            key = name.removeprefix("base_model.model.") + ".weight"
            weight = module.base_layer.weight.detach()
            delta = module.lora_B["default"].weight @ module.lora_A["default"].weight
            exact[key] = (weight.float() + module.scaling["default"] * delta.float()).bfloat16()
    merged = dict(merge_adapter(model).named_parameters())
    assert exact
    for key, weight in exact.items():
        assert torch.equal(merged[key].data, weight)


def test_a_plain_model_is_not_merged():
    model = tiny_model("llama")
    assert merge_adapter(model) is model


def test_exporting_a_folder_without_adapter_is_refused(tmp_path):
    base = save_model(tiny_model("llama"), TOKENIZERS["chatml"], tmp_path / "base", card=CARD)
    with pytest.raises(UserError, match="no adapter"):
        export_merged(str(base), tmp_path / "whole", card=CARD)


def test_nothing_that_exists_is_written_over_unasked(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        save_model(tiny_model("llama"), TOKENIZERS["chatml"], tmp_path / "out", card=CARD)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["out", "precious.txt"]
    save_model(
        tiny_model("llama"), TOKENIZERS["chatml"], tmp_path / "out", card=CARD, overwrite=True
    )
    assert not (tmp_path / "out" / "precious.txt").exists()
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_failed_write_leaves_everything_as_it_was(tmp_path, monkeypatch, exists):
    target = tmp_path / "out"
    if exists:
        target.mkdir()
        (target / "old.txt").write_text("old")
    model = tiny_model("llama")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "_save_generation_config", full)
    with pytest.raises(UserError, match="No space left"):
        save_model(model, TOKENIZERS["chatml"], target, card=CARD, overwrite=True)
    assert sorted(p.name for p in tmp_path.rglob("*")) == (["old.txt", "out"] if exists else [])


def test_weights_handed_in_are_the_ones_written(tmp_path):
    other = tiny_model("llama", seed=1)
    folder = save_model(
        tiny_model("llama"),
        TOKENIZERS["chatml"],
        tmp_path / "out",
        card=CARD,
        state_dict=other.state_dict(),
    )
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(folder)), logits(other))


def test_saved_files_have_the_permissions_of_any_other(tmp_path):
    folder = save_model(tiny_model("llama"), TOKENIZERS["chatml"], tmp_path / "out", card=CARD)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain.txt").write_text("")

    def mode(path):
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(folder) == mode(tmp_path / "plain")
    assert {mode(file) for file in folder.iterdir()} == {mode(tmp_path / "plain.txt")}


def test_what_will_be_written_is_known_beforehand(tmp_path):
    for name, model in (
        ("whole", tiny_model("llama-tied-bias")),
        ("adapter", attach_lora(tiny_model("llama"), LoraOptions(rank=2))),
    ):
        folder = save_model(model, TOKENIZERS["chatml"], tmp_path / name, card=CARD)
        written = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        assert 0 <= written - saved_bytes(model) < 20_000


def test_an_output_folder_is_checked_before_the_work(tmp_path):
    check_output_folder(tmp_path / "a" / "b", overwrite=False, bytes_needed=1000)
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="a file stands"):
        check_output_folder(tmp_path / "file", overwrite=True)
    with pytest.raises(UserError, match="cannot be written"):
        check_output_folder(tmp_path / "file" / "below", overwrite=False)
    with pytest.raises(UserError, match="are needed"):
        check_output_folder(tmp_path / "huge", overwrite=False, bytes_needed=10**18)
    with pytest.raises(UserError, match="cannot be written"):
        check_output_folder("/proc/accordant-test/out", overwrite=False)


def test_loading_what_is_no_model_is_a_users_error(tmp_path):
    folder = save_model(tiny_model("llama"), TOKENIZERS["chatml"], tmp_path / "out", card=CARD)
    (folder / "config.json").write_text(json.dumps({"model_type": "no-such-family"}))
    with pytest.raises(UserError, match="cannot be loaded"):
        load_model(str(folder))
    (folder / "config.json").write_text("{ broken")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_model(str(folder))


def test_a_damaged_weights_file_is_a_users_error(tmp_path):
    folder = save_model(tiny_model("llama"), TOKENIZERS["chatml"], tmp_path / "out", card=CARD)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(UserError, match="cannot be loaded"):
        load_model(str(folder))


def test_missing_weights_are_not_filled_with_random_numbers(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = save_model(tiny_model("llama"), TOKENIZERS["chatml"], tmp_path / "out", card=CARD)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"layers\.1\.mlp\.up_proj"):
        load_model(str(folder))


def test_a_hub_model_that_cannot_be_reached_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="from the hub"):
        load_tokenizer("accordant-tests/no-such-model")


def test_types_are_kept_or_chosen(tmp_path):
    folder = save_model(
        tiny_model("llama").half(), TOKENIZERS["chatml"], tmp_path / "out", card=CARD
    )
    assert load_model(str(folder)).model.dtype == torch.bfloat16
    assert load_model(str(folder), dtype="float32").model.dtype == torch.float32
    assert resolve_source(str(folder)).kind == "folder"
