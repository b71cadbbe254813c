"""What a run shares: opened without weights, which are loaded once and when they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from accordant.base.errors import UserError
from accordant.models.adapters import adapt, is_adapted
from accordant.runs.session import open_session
from accordant.runs.settings import AlignConfig, CheckConfig
from accordant.scoring.engine import is_installed
from tests.runs.test_chat import loaded_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tiny")
    loaded = loaded_model()
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return str(folder)


def test_weights_are_loaded_when_they_are_asked_for_and_once(model: str, monkeypatch):
    loads = []
    from accordant.runs import session as module

    monkeypatch.setattr(
        module, "load", lambda *given, load=module.load: loads.append(1) or load(*given)
    )
    session = open_session(CheckConfig(model=model, precision="float32"))
    prompt = session.encode_prompt("what is 3?")
    assert prompt
    assert session.max_tokens == session.facts.positions
    assert loads == []
    assert session.model is session.model
    assert is_installed(session.model)
    assert loads == [1]
    assert session.other_model() is not session.model
    assert loads == [1, 1]


def test_the_adapter_that_settings_ask_for_is_put_on(model: str):
    settings = AlignConfig(model=model, lora_rank=2)
    session = open_session(settings, adapt=lambda loaded: adapt(loaded, settings))
    assert is_adapted(session.model)
    assert not is_adapted(session.other_model())


def test_a_template_of_the_users_is_saved_with_the_tokenizer(model: str, tmp_path: Path):
    template = tmp_path / "template.jinja"
    template.write_text("{% for m in messages %}{{ m.content }}</s>{% endfor %}")
    session = open_session(CheckConfig(model=model, chat_template=template, max_length=9))
    assert session.tokenizer.chat_template == template.read_text()
    assert session.max_tokens == 9


def test_tokens_that_the_model_does_not_have_are_refused(model: str, tmp_path: Path) -> None:
    tokenizer = loaded_model().tokenizer
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(model)
    config.vocab_size = len(tokenizer) - 1
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    session = open_session(CheckConfig(model=str(tmp_path)))
    assert session.encode_prompt("what is 3?")
    with pytest.raises(UserError, match="tokenizer writes '<new>'"):
        session.encode_prompt("what is <new>?")
