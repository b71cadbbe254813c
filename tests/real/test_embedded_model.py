"""The embedded SmolLM2: converted from GGUF, loaded, saved, sampled and talked to."""

import json
import os
import subprocess
import sys

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from accordant.feedback.reading import read_feedback
from accordant.feedback.records import Message
from accordant.models import gguf_cache
from accordant.models.adapters import LoraOptions, attach_lora
from accordant.models.gguf_cache import dequantised_folder
from accordant.models.identity import weights_identity
from accordant.models.loading import load_model, load_tokenizer
from accordant.models.saving import save_model
from accordant.models.sources import BASE_RECORD, resolve_source
from accordant.runs.session import open_session
from accordant.runs.settings import ScoreConfig
from accordant.sampling.samples import SamplingOptions
from accordant.scoring.apart import plain_logps
from accordant.scoring.engine import score
from accordant.scoring.installation import install
from accordant.tokens.rendering import Rendering, encode, encode_prompt, end_of_turn_ids
from accordant.tokens.trees import TokenTree
from tests.drawing import draw

QUESTIONS = [
    "What is the capital of France?",
    "How many legs does a spider have?",
    "Write one sentence about the sea.",
]


@pytest.fixture(scope="module")
def loaded():
    return load_model(None)


@pytest.fixture(scope="module")
def precise():
    return load_model(None, dtype="float32")


@pytest.fixture(scope="module")
def prompts(loaded):
    return [encode_prompt((Message("user", q),), loaded.tokenizer, Rendering()) for q in QUESTIONS]


def test_the_conversion_holds_the_weights_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCORDANT_CACHE", str(tmp_path))
    file = resolve_source(None).path
    weights = load_file(dequantised_folder(file) / "model.safetensors")
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    assert len(weights) == len(stored)
    for theirs, ours in {
        "token_embd.weight": "model.embed_tokens.weight",
        "blk.7.ffn_down.weight": "model.layers.7.mlp.down_proj.weight",
        "blk.29.attn_v.weight": "model.layers.29.self_attn.v_proj.weight",
        "output_norm.weight": "model.norm.weight",
    }.items():
        tensor = stored[theirs]
        exact = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        expected = torch.from_numpy(exact.copy()).bfloat16().reshape(weights[ours].shape)
        assert torch.equal(weights[ours], expected)
    # Queries and keys are stored permuted: llama.cpp pairs rotary dimensions differently.
    tensor = stored["blk.3.attn_q.weight"]
    flat = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    heads = torch.from_numpy(flat.copy()).reshape(9, 32, 2, 576).transpose(1, 2).reshape(576, 576)
    assert torch.equal(weights["model.layers.3.self_attn.q_proj.weight"], heads.bfloat16())


def test_the_model_is_whole_trainable_and_unquantised(loaded):
    model = loaded.model
    assert model.dtype == torch.bfloat16
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    assert all(p.requires_grad for p in model.parameters())
    assert not getattr(model, "is_quantized", False)
    assert not model.training
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_the_template_is_smollms_chatml_with_its_system_message(loaded):
    tokenizer = loaded.tokenizer
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end_of_turn_ids(tokenizer, Rendering()) == (end,)
    assert loaded.model.generation_config.eos_token_id == end
    assert tokenizer.eos_token_id == end


def test_digits_are_split_before_anything_else_as_in_smollms_training():
    tokenizer = load_tokenizer(None)
    assert tokenizer.tokenize("tips:\n\n12  34") == ["tips", ":", "ĊĊ", "1", "2", "ĠĠ", "3", "4"]
    text = "Zahlen 3.14, naïve\tcafé 日本 🙂\n\n  2) x"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_model_knows_what_a_small_model_knows(loaded, prompts):
    found = draw(loaded.model, prompts[:1], SamplingOptions(40, temperature=0, stop_ids=(2,)))[0]
    assert found.finished
    assert "Paris" in loaded.tokenizer.decode(found.tokens)


def test_greedy_sampling_equals_transformers(precise, prompts):
    found = draw(precise.model, prompts, SamplingOptions(40, temperature=0, stop_ids=(2,)))
    for prompt, generation in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt])
        output = precise.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False
        )
        assert list(generation.completion) == output[0, len(prompt) :].tolist()


def test_samples_do_not_depend_on_their_batch(precise, prompts):
    options = SamplingOptions(16, samples_per_prompt=2, stop_ids=(2,))
    together = draw(precise.model, prompts, options)
    for index, prompt in enumerate(prompts):
        alone = draw(precise.model, [prompt], options)
        assert [g.tokens for g in alone] == [g.tokens for g in together[2 * index : 2 * index + 2]]


def test_a_saved_copy_is_tied_and_scores_identically(tmp_path, loaded, prompts):
    folder = save_model(
        loaded.model, loaded.tokenizer, tmp_path / "copy", card="# Copy\n", stop_ids=(2,)
    )
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    ids = torch.tensor([prompts[0]])
    with torch.no_grad():
        expected = loaded.model(ids).logits
        again = AutoModelForCausalLM.from_pretrained(folder)(ids).logits
    assert torch.equal(again, expected)
    assert weights_identity(load_model(str(folder)).model) == weights_identity(loaded.model)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == loaded.tokenizer.chat_template
    assert tokenizer("12\n\n3")["input_ids"] == loaded.tokenizer("12\n\n3")["input_ids"]
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 2


def test_an_adapter_remembers_the_embedded_model_and_not_this_machine(tmp_path):
    loaded = load_model(None)
    model = attach_lora(loaded.model, LoraOptions(rank=2))
    folder = save_model(
        model, loaded.tokenizer, tmp_path / "adapter", card="# A\n", source=loaded.source
    )
    assert json.loads((folder / BASE_RECORD).read_text())["name"] == "embedded"
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "/cache/of/another/machine"
    (folder / "adapter_config.json").write_text(json.dumps(config))
    again = load_model(str(folder))
    assert again.source.base.kind == "embedded"
    assert weights_identity(again.model) == weights_identity(model)


def test_chat_answers_standard_input_once():
    code = "from accordant.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "chat", "--temperature", "0"],
        input="What is the capital of France?",
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert "Traceback" not in done.stderr


def test_metadata_is_found_as_the_gguf_reader_finds_it():
    file = resolve_source(None).path
    assert gguf_cache._text_field(file, "tokenizer.ggml.pre") == "smollm"
    assert gguf_cache._text_field(file, "general.architecture") == "llama"
    assert "SmolLM, trained by" in gguf_cache._text_field(file, "tokenizer.chat_template")
    assert gguf_cache._text_field(file, "general.nothing") is None


def test_tree_scores_and_gradients_equal_one_sequence_at_a_time(prompts):
    """The whole model in float32: 1e-4 on scores, relative 1e-3 on the gradient of every weight."""
    model = install(load_model(None, dtype="float32").model)
    generator = torch.Generator().manual_seed(0)

    def draw(count):
        return tuple(torch.randint(100, 40_000, (count,), generator=generator).tolist())

    trees = [TokenTree(prompts[0], (draw(20), draw(7))), TokenTree(draw(140), (draw(1), draw(30)))]
    weights = torch.linspace(-1.0, 2.0, 58)
    slow = torch.cat([logps for tree in trees for logps in plain_logps(model, tree)])
    (weights * slow).mean().backward()
    expected = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    packed = score(model, trees).logps
    (weights * packed).mean().backward()
    assert (packed - slow).abs().max() < 1e-4
    for name, parameter in model.named_parameters():
        error = (parameter.grad - expected[name]).norm() / expected[name].norm()
        assert error < 1e-3, name


def test_bfloat16_scores_do_not_depend_on_neighbours_in_a_row():
    # Trees share their system prompt in a row; products of other shapes would round otherwise.
    session = open_session(ScoreConfig(data="bundled"))
    records = read_feedback(session.settings)[0].records[:16]
    examples = encode(
        records, session.tokenizer, session.rendering, max_tokens=session.max_tokens
    ).examples
    together = session.score(examples).sum()
    alone = torch.cat([session.score([example]).sum() for example in examples])
    assert session.model.dtype == torch.bfloat16
    assert torch.equal(together, alone)
