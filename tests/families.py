"""Tiny random models of every family the engine promises to score, for tests of several rooms.

`CONFIGS` are those whose sequences share a prompt and that many tests try; `MORE` are all others,
`APART` the names of those among them whose sequences are computed one beside the other.
"""

from __future__ import annotations

import copy

import torch
from transformers import (
    AutoConfig,
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

_TINY = {**_SHARED, "num_hidden_layers": 2, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "initializer_range": 0.3}
_MOE = {"num_local_experts": 4, "num_experts_per_tok": 2}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_DEEPSEEK = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 16,
    "kv_lora_rank": 8,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "num_key_value_heads": 4,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
_LINEAR = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}


def _rope(kind: str, **parameters: object) -> dict[str, object]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **parameters}}


_LONG = _rope(
    "longrope",
    short_factor=[1.0] * 4,
    long_factor=[1.0, 2.0, 3.0, 4.0],
    original_max_position_embeddings=24,
    factor=8.0,
)
_LLAMA3 = _rope(
    "llama3",
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,
)

# Type of the model, and what its configuration has beside what all have; whole where there is no
# common ground.
MORE: dict[str, tuple[str, dict[str, object]]] = {
    "rope-linear": ("llama", _TINY | _rope("linear", factor=4.0)),
    "rope-yarn": ("llama", _TINY | _rope("yarn", factor=4.0, original_max_position_embeddings=32)),
    "rope-llama3": ("llama", _TINY | _LLAMA3),
    "rope-long": ("phi3", _TINY | _LONG | {"original_max_position_embeddings": 24}),
    "rope-dynamic": (
        "llama",
        _TINY | _rope("dynamic", factor=4.0) | {"max_position_embeddings": 24},
    ),
    "qwen2-moe": ("qwen2_moe", _TINY | _EXPERTS | {"shared_expert_intermediate_size": 16}),
    "qwen3-moe": ("qwen3_moe", _TINY | _EXPERTS | {"head_dim": 8}),
    "mixtral": ("mixtral", _TINY | _MOE),
    "phi": ("phi", _TINY),
    "phi3": ("phi3", _TINY),
    "gpt-neox": ("gpt_neox", _TINY),
    "gpt-bigcode": ("gpt_bigcode", _GPT),
    "opt": (
        "opt",
        {
            "hidden_size": 32,
            "ffn_dim": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 256,
            "word_embed_proj_dim": 32,
            "init_std": 0.3,
        },
    ),
    "olmo": ("olmo", _TINY),
    "olmo2": ("olmo2", _TINY),
    "olmo3": ("olmo3", _TINY | {"sliding_window": 8}),
    "olmoe": ("olmoe", _TINY | _EXPERTS),
    "deepseek-v2": ("deepseek_v2", _TINY | _DEEPSEEK | {"head_dim": 4}),
    "deepseek-v3": ("deepseek_v3", _TINY | _DEEPSEEK),
    "granite": ("granite", _TINY),
    "granite-moe": ("granitemoe", _TINY | _MOE),
    "cohere": ("cohere", _TINY),
    "cohere2": ("cohere2", _TINY | {"sliding_window": 8}),
    "starcoder2": ("starcoder2", _TINY | {"sliding_window": 8}),
    "smollm3": ("smollm3", _TINY),
    "glm4": ("glm4", _TINY | {"head_dim": 8}),
    "helium": ("helium", _TINY | {"head_dim": 8}),
    "persimmon": ("persimmon", _TINY),
    "exaone4": ("exaone4", _TINY | {"sliding_window": 8}),
    "ernie4.5": ("ernie4_5", _TINY),
    "hunyuan": ("hunyuan_v1_dense", _TINY | {"head_dim": 8}),
    "bert-decoder": ("bert", _TINY | {"is_decoder": True}),
    # From here on nothing is shared.
    "gptj": ("gptj", _GPT | {"rotary_dim": 4}),
    "gpt-neo": (
        "gpt_neo",
        {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 8,
            "max_position_embeddings": 256,
            "intermediate_size": 48,
            "initializer_range": 0.3,
        },
    ),
    "codegen": ("codegen", _GPT | {"rotary_dim": 4, "n_inner": 48}),
    "bloom": ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.3}),
    "falcon": ("falcon", _TINY | {"new_decoder_architecture": True}),
    "falcon-alibi": ("falcon", _TINY | {"alibi": True}),
    "mpt": ("mpt", {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 256}),
    "xglm": (
        "xglm",
        {
            "d_model": 32,
            "ffn_dim": 48,
            "num_layers": 2,
            "attention_heads": 4,
            "max_position_embeddings": 256,
            "init_std": 0.3,
        },
    ),
    "stablelm": ("stablelm", _TINY),
    "nemotron": ("nemotron", _TINY),
    "gpt-oss": ("gpt_oss", _TINY | _MOE | {"head_dim": 8, "sliding_window": 8}),
    "llama4-text": (
        "llama4_text",
        _TINY
        | {
            "num_local_experts": 2,
            "head_dim": 8,
            "intermediate_size_mlp": 48,
            "attention_chunk_size": 16,
        },
    ),
    "qwen3-next": (
        "qwen3_next",
        _TINY
        | _EXPERTS
        | _LINEAR
        | {"head_dim": 8, "num_hidden_layers": 4, "shared_expert_intermediate_size": 16},
    ),
    "lfm2-conv": ("lfm2", _TINY | {"layer_types": ["conv", "full_attention"]}),
    "mamba": ("mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
    "mamba2": (
        "mamba2",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "state_size": 8,
            "num_heads": 8,
            "head_dim": 8,
            "n_groups": 1,
            "chunk_size": 16,
        },
    ),
    "falcon-h1": (
        "falcon_h1",
        _TINY
        | {
            "mamba_d_ssm": 32,
            "mamba_n_heads": 4,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "mamba_n_groups": 1,
            "mamba_chunk_size": 16,
        },
    ),
    "jamba": (
        "jamba",
        _TINY
        | {
            "num_experts": 2,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "use_mamba_kernels": False,
            "mamba_d_state": 8,
        },
    ),
    "minimax": ("minimax", _TINY | {"num_local_experts": 2, "head_dim": 8, "block_size": 16}),
    "recurrent-gemma": (
        "recurrent_gemma",
        {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "lru_width": 32,
            "attention_window_size": 8,
        },
    ),
    "rwkv": ("rwkv", {"hidden_size": 32, "num_hidden_layers": 2}),
}
APART = tuple(list(MORE)[list(MORE).index("gptj") :])


def tiny_model(family: str, *, seed: int = 0) -> torch.nn.Module:
    """A random float32 model of `family` with weights drawn from `seed`, in evaluation mode."""
    torch.manual_seed(seed)
    if family in CONFIGS:
        config = copy.deepcopy(CONFIGS[family])
    else:
        kind, options = MORE[family]
        config = AutoConfig.for_model(kind, **{**options, "vocab_size": VOCABULARY})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    if family in MORE:
        with torch.no_grad():
            for name, weight in model.named_parameters():
                # Not all have an `initializer_range` that is heeded everywhere.
                if weight.dim() >= 2 and "conv" not in name and "A_log" not in name:
                    weight.normal_(0, 0.1)
    return model.eval()
