"""A name for a model's weights: equal names mean equal scores.

Knows tensors, their names and the configuration. Used as a cache key and to tell whether an adapter
meets the base it was trained on.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

# Entries of a configuration that never change a score: where it was read, who wrote it, which ids
# generation pads or stops with; dropout, which no score is computed with, is left out by its name.
IGNORED = (
    "_name_or_path architectures bos_token_id dtype eos_token_id pad_token_id torch_dtype "
    "transformers_version unk_token_id use_cache"
)
IGNORED_CONFIG = frozenset(IGNORED.split())
ADAPTER_PARTS = ("lora_", "modules_to_save", "ia3_", "adapter_")
ADAPTER_SCALES = ("r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern")


def weights_identity(model: nn.Module, *, base_only: bool = False) -> str:
    """Hash every weight's bytes, type, shape and name, and the configuration.

    Each tensor is hashed whole, so any changed bit changes the result. Non-persistent buffers
    follow from the configuration and are left out. Sharded tensors are gathered: then every process
    must call this.

    Args:
        model: a transformers or PEFT model.
        base_only: leave adapter weights out; the result is that of the model before the adapter.

    Returns:
        32 hexadecimal digits.
    """
    # By name: the order of a state dict depends on how a model was made.
    named = sorted(_weights(model, base_only=base_only))
    # hashlib releases the interpreter lock: 135M bfloat16 weights take a quarter of a second.
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(lambda item: _digest(*item), named))
    digest = hashlib.blake2b(digest_size=16)
    digest.update(_config_text(model).encode())
    if not base_only:
        digest.update(_adapter_text(model).encode())
    for weight in digests:
        digest.update(weight)
    return digest.hexdigest()


def _weights(model: nn.Module, *, base_only: bool) -> Iterator[tuple[str, Tensor]]:
    seen: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        # Tied weights stand under several names; the first is enough.
        if id(tensor) in seen or not hasattr(tensor, "data_ptr"):
            continue
        seen.add(id(tensor))
        if not any(part in name for part in ADAPTER_PARTS):
            yield _plain_name(name), tensor
        elif not base_only:
            yield name, tensor


def _plain_name(name: str) -> str:
    """Return the name a weight had before PEFT wrapped the model."""
    name = name.removeprefix("module.").removeprefix("base_model.model.")
    return name.replace(".base_layer.", ".").replace(".original_module.", ".")


def _digest(name: str, tensor: Tensor) -> bytes:
    import torch

    tensor = tensor.detach()
    if hasattr(tensor, "full_tensor"):  # sharded
        tensor = tensor.full_tensor()
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    array: Any = tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    digest.update(array)
    return digest.digest()


def _config_text(model: nn.Module) -> str:
    config: Any = getattr(model, "config", None)
    entries = config.to_dict() if hasattr(config, "to_dict") else {}
    kept = {
        key: value
        for key, value in entries.items()
        if key not in IGNORED_CONFIG and "dropout" not in key and "pdrop" not in key
    }
    return json.dumps(kept, sort_keys=True, default=str)


def _adapter_text(model: nn.Module) -> str:
    """Write the adapter's settings: what scales its weights, as alpha does, is in no tensor."""
    configs = getattr(model, "peft_config", None)
    if not isinstance(configs, dict):
        return ""
    kept = {
        name: {key: getattr(config, key, None) for key in ADAPTER_SCALES}
        for name, config in configs.items()
    }
    return json.dumps([kept, getattr(model, "active_adapters", None)], sort_keys=True, default=str)
