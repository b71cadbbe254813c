"""A transformers model made ready to be scored as token trees, in place.

Knows models' attention, dropout and forward, and the engine. Knows nothing of text or losses.
"""

from __future__ import annotations

import types
from typing import Any

from torch import nn

from accordant.base.errors import UserError
from accordant.models.adapters import base_model_of
from accordant.models.families import rope_switch, why_apart
from accordant.scoring import attention
from accordant.scoring.apart import Sharing
from accordant.scoring.engine import forward_trees
from accordant.scoring.last_layer import spare_last_mlp
from accordant.scoring.memory import keep_freed_memory
from accordant.scoring.norms import quicken_norms
from accordant.scoring.verify import verify_model


def install(model: Any, *, verify: bool = True) -> Any:
    """Prepare a transformers causal language model (plain or with PEFT adapters) for scoring.

    Of a classifier with a head `score`, as reward models are, values alone can be asked for.

    Changes the model in place: its attention learns about token trees, its forward accepts
    `packed=`, dropout is switched off. Calls without `packed=` work as before. Sequences of models
    whose layers cannot know trees are computed apart. With `verify`, a few small trees are scored
    both ways, so that a family that trees do not fit is computed apart instead of wrongly.

    Returns:
        the same model.

    Raises:
        UserError: the model cannot be scored.
    """
    base = base_model_of(model)
    is_whole = hasattr(base, "base_model_prefix")
    if not is_whole or (base.get_output_embeddings() is None and not hasattr(base, "score")):
        raise UserError(
            f"{type(base).__name__} is not a causal language model of transformers.",
            mend="Load the model with AutoModelForCausalLM.",
        )
    if any(config.is_prompt_learning for config in getattr(model, "peft_config", {}).values()):
        raise UserError(
            "Prompt-learning adapters put virtual tokens before the prompt, which token trees "
            "do not know.",
            mend="Use LoRA or another adapter that changes weights.",
        )
    reason = why_apart(base.config) or _replace_attention(base)
    base._accordant_sharing = Sharing(reason, switch=rope_switch(base.config))
    _take_over_forward(model)
    base._accordant_installed = True
    _switch_dropout_off(model)
    _keep_weights_whole(base)
    if not reason:
        spare_last_mlp(base)
        quicken_norms(base)
    keep_freed_memory()
    if verify:
        verify_model(model)
    return model


def _replace_attention(base: Any) -> str:
    """Let attention know trees; says why not where the model keeps its own."""
    attention.register_kernels()
    ours = (attention.SDPA, attention.EAGER)
    if base.config._attn_implementation not in ours:
        base.set_attn_implementation(ours[base.config._attn_implementation == "eager"])
    if base.config._attn_implementation in ours:
        return ""
    return "its attention cannot be replaced by one that knows trees"


def _keep_weights_whole(base: Any) -> None:
    """Keep RWKV from halving weights while it is evaluated, for the sake of float16's range.

    It multiplies them back with the next training step, and a model saved between would be wrong.
    """
    if getattr(base.config, "rescale_every", 0):
        base.config.rescale_every = 0


def _take_over_forward(model: Any) -> None:
    """Put `forward_trees` before the model's own forward, or before what a trainer put there."""
    earlier = vars(model).get("forward")
    if getattr(earlier, "__func__", None) is forward_trees:
        return
    if earlier is not None:
        # accelerate's autocast and TRL's fused head stand here; calls without trees are theirs.
        model._accordant_earlier_forward = earlier
    model.forward = types.MethodType(forward_trees, model)


def _switch_dropout_off(model: nn.Module) -> None:
    """Set every dropout of the base model to zero; adapters keep the dropout they were given.

    A shared prompt is seen by all its continuations, and the reference has none: with dropout the
    log-ratios that objectives are built on would be noise.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout) and "lora_" not in name:
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
