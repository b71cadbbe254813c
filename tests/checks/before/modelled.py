"""Feedback in tokens with a tiny model to read them, for checks that need one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from accordant.checks.inputs import CheckInputs
from accordant.feedback.records import Record
from accordant.scoring.installation import install
from accordant.tokens.rendering import Rendering, encode
from tests.checks.before.feedback import feedback
from tests.tokens.small_tokenizers import TOKENIZERS

TOKENIZER = TOKENIZERS["chatml"]


def make_model(seed: int = 0) -> Any:
    """A random float32 model of the tokenizer's vocabulary."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(TOKENIZER),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
    )
    return install(LlamaForCausalLM(config).eval(), verify=False)


def make_inputs(records: Sequence[Record], kind: str = "comparison", **fields: Any) -> CheckInputs:
    """All a check before training may read of these records."""
    rendering = Rendering()
    encoded = encode(records, TOKENIZER, rendering, max_tokens=None)
    ready = CheckInputs(
        feedback(records, kind),
        tokenizer=TOKENIZER,
        rendering=rendering,
        encoded=encoded,
        model=copy.deepcopy(make_model()),
        token_budget=512,
    )
    return replace(ready, **fields)
