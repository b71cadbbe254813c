"""LoRA adapters: put on, switched off for the reference, made part of the weights.

Knows PEFT. Knows nothing of what the adapter is trained for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.models.quiet import quiet_transformers
from accordant.models.settings import AdapterSettings

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class LoraOptions:
    """Low-rank adaptation (Hu et al. 2021, eq. 3): W x + (alpha / rank) B A x, with B = 0 at first.

    Args:
        rank: rank of the update, at least 1.
        alpha: scale of the update; alpha / rank multiplies it.
        dropout: on the adapter's input while training, in [0, 1). The reference cache and the
            policy see the same prompt differently where it is above 0.
        target_modules: `all-linear` (every linear layer but the output head) or names of layers.
        modules_to_save: names of layers trained in full beside the adapter.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"
    modules_to_save: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UserError(f"found {self.rank}, expected at least 1.", where="LoRA rank")
        if not 0 <= self.dropout < 1:
            raise UserError(f"found {self.dropout}, expected [0, 1).", where="LoRA dropout")


def attach_lora(model: nn.Module, options: LoraOptions, *, seed: int = 0) -> Any:
    """Put a fresh LoRA adapter on `model`; only the adapter is trainable afterwards.

    Adapter weights are float32 even on a bfloat16 model. The model's own layers are wrapped in
    place.

    Args:
        model: a transformers model without an adapter.
        options: rank, scale and places.
        seed: of the adapter's random half; torch's own generators are left as they were.

    Returns:
        the PEFT model; with B = 0 its scores equal those of `model`.

    Raises:
        UserError: no layer has the given names, or an adapter is on already.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    if is_adapted(model):
        raise UserError(
            "the model carries an adapter already.",
            where="model",
            mend="Merge it first (`accordant merge`), or start from its base model.",
        )
    targets = options.target_modules
    embeddings: Any = model
    config = LoraConfig(
        # Of a classifier PEFT trains and saves the head too; of a language model it must not.
        task_type="CAUSAL_LM" if embeddings.get_output_embeddings() is not None else "SEQ_CLS",
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        modules_to_save=list(options.modules_to_save) or None,
        # GPT-2's linear layers are stored transposed; PEFT has to be told.
        fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),
    )
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        try:
            with quiet_transformers():
                # PEFT makes them float32: their updates are too small for bfloat16.
                return get_peft_model(model, config)
        except ValueError as error:
            linear = {
                name.rsplit(".", 1)[-1]
                for name, module in model.named_modules()
                if type(module).__name__ in ("Linear", "Conv1D")
            }
            raise UserError(
                f"LoRA finds no layer to sit on ({' '.join(str(error).split())[:200]})",
                where="LoRA target modules",
                mend=f"Use 'all-linear', or layer names such as: {', '.join(sorted(linear))}.",
            ) from error


def adapt(model: Any, settings: AdapterSettings, *, seed: int = 0) -> Any:
    """Put on the adapter that settings ask for; without one the model is returned as it is."""
    if settings.is_full:
        return model
    targets = settings.lora_targets
    options = LoraOptions(
        rank=settings.lora_rank,
        alpha=settings.scale_of_adapter,
        dropout=settings.lora_dropout,
        target_modules=targets[0] if targets == ("all-linear",) else targets,
    )
    return attach_lora(model, options, seed=seed)


def is_adapted(model: nn.Module) -> bool:
    """Tell whether `model` (or what a distributed wrapper holds) carries a PEFT adapter."""
    inner = without_wrappers(model)
    return hasattr(inner, "peft_config") and hasattr(inner, "disable_adapter")


def without_wrappers(model: nn.Module) -> Any:
    """Return the model inside distributed or compiled wrappers; a PEFT model stays one."""
    inner: Any = model
    while True:
        deeper = getattr(inner, "_orig_mod", None) or getattr(inner, "module", None)
        if deeper is None:
            return inner
        inner = deeper


def base_model_of(model: nn.Module) -> Any:
    """Return the transformers model inside distributed, compiled and PEFT wrappers."""
    inner = without_wrappers(model)
    while hasattr(inner, "get_base_model"):
        inner = without_wrappers(inner.get_base_model())
    return inner


@contextmanager
def reference_mode(model: nn.Module) -> Iterator[None]:
    """Make `model` the reference inside the block: adapter off, dropout off, no gradients.

    Without an adapter the weights are used as they stand, so a fully trained model is its own
    reference only before its first step. Every module's training flag is restored afterwards.
    """
    import torch

    # One by one: parts of a model may be kept in evaluation mode while it trains.
    flags = [(module, module.training) for module in model.modules()]
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        if is_adapted(model):
            stack.enter_context(without_wrappers(model).disable_adapter())
        model.eval()
        try:
            yield
        finally:
            for module, training in flags:
                module.training = training
