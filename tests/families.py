"""Tiny random models of every family the engine promises to score, for tests of several rooms."""

from __future__ import annotations

import copy

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

VOCABULARY = 131

_SHARED = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    # Wide enough for attention to matter: at the usual 0.02 a wrong mask would hardly show.
    "initializer_range": 0.3,
}
_GEMMA = {**_SHARED, "head_dim": 8}

CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**_SHARED),
    "llama-tied-bias": LlamaConfig(
        **_SHARED, tie_word_embeddings=True, attention_bias=True, mlp_bias=True
    ),
    "qwen2": Qwen2Config(**_SHARED),
    "qwen2-window": Qwen2Config(
        **_SHARED, use_sliding_window=True, sliding_window=6, max_window_layers=1
    ),
    "qwen3": Qwen3Config(**_SHARED, head_dim=8),
    "mistral": MistralConfig(**_SHARED, head_dim=8, sliding_window=None),
    "mistral-window": MistralConfig(**_SHARED, head_dim=8, sliding_window=5),
    "gemma": GemmaConfig(**_GEMMA),
    "gemma2": Gemma2Config(**_GEMMA, sliding_window=5, query_pre_attn_scalar=8),
    "gemma3": Gemma3TextConfig(**_GEMMA, sliding_window=5, query_pre_attn_scalar=8),
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=3,
        n_head=4,
        n_positions=256,
        initializer_range=0.3,
    ),
}


def tiny_model(family: str, *, seed: int = 0) -> torch.nn.Module:
    """A random float32 model of `family` with weights drawn from `seed`, in evaluation mode."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[family]), dtype=torch.float32)
    return model.eval()
