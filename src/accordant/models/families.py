"""What a model's architecture lets sequences share, read before its weights are loaded.

Knows transformers' configurations and classes. Knows nothing of trees, weights or scores. What is
read here is a forecast for plans; `scoring.verify_model` proves it on the model itself.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from accordant.models.facts import text_config

# Layers in which a token reads the tokens it attends to and nothing else.
_ATTENDING = {"full_attention", "sliding_attention"}
# They call attention through transformers' interface, and drop what is handed down to it.
_DEAF = {"nemotron", "stablelm"}


def why_apart(config: Any) -> str:
    """Explain why sequences of a family cannot share a prompt; empty where nothing speaks against.

    Args:
        config: transformers' configuration, of the whole model or of its language model.
    """
    config = text_config(config)
    family: Any = _model_class(config)
    if getattr(family, "_is_stateful", False):
        return "it carries a running state that every token changes"
    others = set(getattr(config, "layer_types", None) or ()) - _ATTENDING
    if others:
        return f"its layers of type {', '.join(sorted(others))} do not know which tokens are whose"
    if family is None:
        return ""
    source = _source(family)
    if config.model_type in _DEAF or "ALL_ATTENTION_FUNCTIONS" not in source:
        return "its attention cannot be replaced by one that knows trees"
    if re.search(r"\bs_aux\b", source):
        return "its attention has sinks, which attention over trees does not"
    return ""


def describe_apart(reason: str, computed: int, shared: int) -> str:
    """Say what it costs that prompts are not shared, in tokens of one pass."""
    return (
        f"prompts are not shared: {reason}; each answer is computed with a prompt of its own, "
        f"{computed:,} tokens a pass where sharing would take {shared:,}"
    )


def rope_switch(config: Any) -> int | None:
    """Return the length behind which a model's rope depends on how long the sequence is.

    Up to it all sequences turn alike. None where rope depends on positions alone.
    """
    config = text_config(config)
    switches = []
    for rope in _ropes(config):
        kind = rope.get("rope_type", "")
        if kind == "longrope":
            switches.append(rope.get("original_max_position_embeddings"))
        elif "dynamic" in kind:
            switches.append(config.max_position_embeddings)
    return min((int(switch) for switch in switches if switch), default=None)


def _ropes(config: Any) -> Iterator[Mapping[str, Any]]:
    """Find the parameters of every rope: one for all layers, or one for each of their types."""
    parameters = getattr(config, "rope_parameters", None) or {}
    if "rope_type" in parameters:
        yield parameters
    else:
        yield from (each for each in parameters.values() if isinstance(each, Mapping))


def _model_class(config: Any) -> type | None:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    # Code that comes with the weights is not among transformers' own.
    known: type | None = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    return known


def _source(family: type) -> str:
    try:
        return inspect.getsource(sys.modules[family.__module__])
    except OSError:
        # Installed without sources: the model itself will tell.
        return "ALL_ATTENTION_FUNCTIONS"
