"""The cache of converted GGUF files: found again, checked, mended, and shared by processes."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch

from accordant.base.errors import UserError
from accordant.models import gguf_cache
from accordant.models.gguf_cache import MANIFEST, cache_root, dequantised_folder, is_sound
from tests.families import tiny_model
from tests.tokens.small_tokenizers import TOKENIZERS


@pytest.fixture
def conversions(tmp_path, monkeypatch):
    """A cache folder of its own, and a list that grows with every conversion."""
    monkeypatch.setenv("ACCORDANT_CACHE", str(tmp_path / "cache"))
    done = []

    def convert(gguf):
        done.append(gguf)
        return tiny_model("llama-tied-bias").bfloat16(), TOKENIZERS["chatml"]

    monkeypatch.setattr(gguf_cache, "_read_gguf", convert)
    return done


@pytest.fixture
def gguf(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + b"\1" * 1000)
    return file


def test_a_file_is_converted_once_and_again_when_it_changes(conversions, gguf):
    folder = dequantised_folder(gguf)
    assert is_sound(folder)
    assert dequantised_folder(gguf) == folder
    moved = gguf.rename(gguf.with_name("elsewhere.gguf")).rename(gguf)
    assert dequantised_folder(moved) == folder
    assert len(conversions) == 1
    gguf.write_bytes(b"GGUF" + b"\2" * 1000)
    assert dequantised_folder(gguf) != folder
    assert len(conversions) == 2


def test_an_older_conversion_is_not_used(conversions, gguf, monkeypatch):
    folder = dequantised_folder(gguf)
    monkeypatch.setattr(gguf_cache, "FORMAT", gguf_cache.FORMAT + 1)
    assert dequantised_folder(gguf) != folder


def flip_a_byte(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip_a_byte(folder / "model.safetensors"),
        lambda folder: os.truncate(folder / "model.safetensors", 100),
        lambda folder: (folder / "tokenizer.json").unlink(),
        lambda folder: (folder / MANIFEST).write_text("{"),
        lambda folder: (folder / MANIFEST).write_text("{}"),
        lambda folder: (folder / MANIFEST).write_text('{"model.safetensors": 3}'),
        lambda folder: (folder / MANIFEST).unlink(),
    ],
)
def test_a_damaged_copy_is_found_and_made_again(conversions, gguf, damage):
    folder = dequantised_folder(gguf)
    whole = (folder / "model.safetensors").read_bytes()
    damage(folder)
    assert not is_sound(folder)
    assert dequantised_folder(gguf) == folder
    assert is_sound(folder)
    assert (folder / "model.safetensors").read_bytes() == whole
    assert len(conversions) == 2


def test_a_copy_that_was_only_touched_is_kept(conversions, gguf):
    folder = dequantised_folder(gguf)
    os.utime(folder / "model.safetensors", (1, 1))
    assert dequantised_folder(gguf) == folder
    assert len(conversions) == 1


def test_a_conversion_that_fails_leaves_nothing_behind(conversions, gguf, monkeypatch):
    def failing(_):
        raise RuntimeError("in the middle")

    monkeypatch.setattr(gguf_cache, "_read_gguf", failing)
    with pytest.raises(RuntimeError, match="in the middle"):
        dequantised_folder(gguf)
    assert [p for p in (cache_root() / "models").iterdir() if p.suffix != ".lock"] == []


def test_a_cache_that_cannot_be_written_is_a_users_error(conversions, gguf, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ACCORDANT_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="ACCORDANT_CACHE"):
        dequantised_folder(gguf)


def test_a_file_that_only_begins_like_gguf_is_a_users_error(tmp_path, gguf, monkeypatch):
    monkeypatch.setenv("ACCORDANT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="cannot read this GGUF"):
        dequantised_folder(gguf)


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCORDANT_CACHE", "/a")
    assert str(cache_root()) == "/a"
    monkeypatch.delenv("ACCORDANT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert str(cache_root()) == "/b/accordant"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "accordant"


def test_processes_that_start_together_convert_once_and_all_find_it(tmp_path, gguf):
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from accordant.models import gguf_cache
        from tests.tokens.small_tokenizers import TOKENIZERS
        from tests.families import tiny_model

        def convert(gguf):
            with open(sys.argv[2], "a") as log:
                log.write("converted\\n")
            time.sleep(0.5)
            return tiny_model("llama").bfloat16(), TOKENIZERS["chatml"]

        gguf_cache._read_gguf = convert
        Path(sys.argv[3]).touch()
        while len(list(Path(sys.argv[3]).parent.glob("ready-*"))) < 2:
            time.sleep(0.01)
        print(gguf_cache.dequantised_folder(Path(sys.argv[1])))
        """
    )
    environment = {**os.environ, "ACCORDANT_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, gguf, tmp_path / "log", tmp_path / f"ready-{i}"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    found = {process.communicate(timeout=120)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(found) == 1
    assert (tmp_path / "log").read_text() == "converted\n"
    manifest = json.loads((tmp_path / "cache/models").joinpath(*found, MANIFEST).read_text())
    assert "model.safetensors" in manifest


def test_the_quantised_mark_is_cleared_and_packed_weights_are_noticed():
    model = tiny_model("llama")
    model.is_quantized, model.hf_quantizer = True, object()
    model.config.quantization_config = {"quant_method": "gguf"}
    gguf_cache._clear_quantised_mark(model)
    assert not model.is_quantized
    assert model.hf_quantizer is None
    assert "quantization_config" not in model.config.to_dict()
    model.lm_head.weight = torch.nn.Parameter(
        torch.zeros(3, dtype=torch.uint8), requires_grad=False
    )
    with pytest.raises(RuntimeError, match="still packed"):
        gguf_cache._clear_quantised_mark(model)
