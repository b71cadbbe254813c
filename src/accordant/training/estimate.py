"""How much memory and disk a run will take, from a model's configuration alone.

Knows shapes, number formats and what the engine keeps for the backward pass. Loads no weights: the
model is built on torch's meta device, which holds shapes without numbers.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from accordant.models.loading import default_device
from accordant.models.settings import AdapterSettings, ModelSettings
from accordant.scoring.head import chunk_elements
from accordant.training.arguments import save_interval
from accordant.training.settings import TrainingSettings

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# What Python, torch and the libraries hold before any weight is there.
PROCESS_BYTES = 700_000_000


@dataclass(frozen=True, slots=True)
class Shapes:
    """Sizes of a model, in elements.

    Args:
        parameters: all weights, shared ones once.
        adapter: weights of the LoRA adapter, 0 without one.
        adapted_inputs: summed widths of the inputs of adapted layers, per transformer layer.
        largest: the largest single weight.
        layers: transformer layers.
        width: residual stream.
        queries: width of all query heads.
        keys: width of all key heads (values take as much).
        inner: width of the feed-forward layer.
        vocabulary: tokens.
    """

    parameters: int
    adapter: int
    adapted_inputs: int
    largest: int
    layers: int
    width: int
    queries: int
    keys: int
    inner: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes one process holds at the height of a step.

    Args:
        weights: the model, its adapter, and a copy of it where the reference is computed online.
        gradients: of what is trained.
        optimizer: moments, and the lower halves of bfloat16 weights.
        activations: kept for the backward pass of one row.
        temporary: logits of one chunk and the head's gradient.
        process: Python and its libraries (main memory only).
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    temporary: int
    process: int

    @property
    def total(self) -> int:
        """All of them."""
        parts = (self.weights, self.gradients, self.optimizer)
        return sum(parts) + self.activations + self.temporary + self.process


def read_shapes(model: PreTrainedConfig, settings: AdapterSettings) -> Shapes:
    """Read sizes of the model a configuration describes, with the adapter the settings ask for."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        built: nn.Module = AutoModelForCausalLM.from_config(copy.deepcopy(model))
    built.tie_weights()  # type: ignore[operator]
    text = model.get_text_config()
    # State-space models have none: their inner width is about what attention would keep.
    heads = getattr(text, "num_attention_heads", None) or 1
    head = getattr(text, "head_dim", None) or text.hidden_size // heads
    adapter, inputs = _adapter(built, settings)
    parameters = [p.numel() for p in built.parameters()]
    return Shapes(
        parameters=sum(parameters),
        adapter=adapter,
        adapted_inputs=inputs // text.num_hidden_layers,
        largest=max(parameters),
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        queries=heads * head,
        keys=(getattr(text, "num_key_value_heads", None) or heads) * head,
        inner=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
        vocabulary=text.vocab_size,
    )


def estimate_memory(
    shapes: Shapes, settings: TrainingSettings, row_tokens: int, *, processes: int = 1
) -> MemoryEstimate:
    """Estimate the memory of one process, within about a third for the usual decoder layers.

    Args:
        shapes: of the model.
        settings: of the run.
        row_tokens: tokens of the largest row.
        processes: processes of the run; weights are divided among them with `--sharding fsdp2`.
    """
    weight = 2 if settings.precision == "bf16" else 4
    trained = shapes.parameters if settings.is_full else shapes.adapter
    halved = settings.precision == "bf16" and settings.is_full
    state = {
        "compensated": 6 if settings.optimizer_moments == "bf16" else 10,
        "adamw-8bit": 2,
    }.get(settings.optimizer_name, 4)
    copies = 2 if settings.reference == "online" and settings.is_full else 1
    shards = processes if settings.sharding == "fsdp2" else 1
    arithmetic = 4 if settings.precision == "float32" else 2
    device = planned_device(settings)
    chunk = max(16, chunk_elements(device) // shapes.vocabulary) * shapes.vocabulary
    temporary = 2 * chunk * arithmetic + (shapes.largest * weight if settings.is_full else 0)
    return MemoryEstimate(
        weights=(shapes.parameters * weight * copies + shapes.adapter * 4) // shards,
        gradients=trained * (2 if halved else 4) // shards,
        optimizer=trained * (state if halved else 8) // shards,
        activations=row_tokens * activation_bytes(shapes, settings),
        temporary=temporary,
        process=PROCESS_BYTES if device.type == "cpu" else 0,
    )


def planned_device(settings: ModelSettings) -> torch.device:
    """Return the device that a run of these settings will be on."""
    return torch.device("cpu") if settings.device == "cpu" else default_device()


def activation_bytes(shapes: Shapes, settings: TrainingSettings) -> int:
    """Return the bytes kept for the backward pass per token of a row.

    A layer keeps the inputs of its linear maps and what its two norms make, queries, keys, values,
    the attention's output, and four arrays of the feed-forward layer. Norms that the engine leaves
    as they are (Gemma's, layer norms) keep float32 copies beside, about a tenth of that, which are
    not counted. With an adapter on bfloat16 weights the inputs of adapted maps are kept once more
    in float32. With checkpointing only each layer's input is kept, and one layer's activations
    exist at a time.
    """
    size = 4 if settings.precision == "float32" else 2
    arrays = 4 * shapes.width + 2 * shapes.queries + 2 * shapes.keys + 4 * shapes.inner
    copies = 4 * shapes.adapted_inputs if settings.precision == "bf16" else 0
    layer = size * arrays + copies
    if settings.gradient_checkpointing:
        return shapes.layers * size * shapes.width + layer
    return shapes.layers * layer


def checkpoint_bytes(shapes: Shapes, settings: TrainingSettings) -> int:
    """Return the bytes of one checkpoint: what is trained, and the optimiser's state."""
    memory = estimate_memory(shapes, settings, 0)
    trained = shapes.adapter * 4 if not settings.is_full else memory.weights
    return trained + memory.optimizer


def disk_bytes(shapes: Shapes, settings: TrainingSettings, steps: int) -> int:
    """Return the bytes a run writes: checkpoints, one twice while it is written, and the model."""
    due = steps // save_interval(settings, steps)
    kept = min(due, settings.save_total_limit) + (1 if due > settings.save_total_limit else 0)
    model = estimate_memory(shapes, settings, 0).weights if settings.is_full else shapes.adapter * 4
    return kept * checkpoint_bytes(shapes, settings) + model


def _adapter(model: nn.Module, settings: AdapterSettings) -> tuple[int, int]:
    """Count the adapter's weights, and sum input widths of the layers it sits on."""
    if settings.is_full:
        return 0, 0
    head: Any = model.get_output_embeddings()  # type: ignore[operator]
    everywhere = settings.lora_targets == ("all-linear",)
    weights = inputs = 0
    for name, module in model.named_modules():
        if type(module).__name__ not in ("Linear", "Conv1D") or module is head:
            continue
        if not everywhere and not name.endswith(tuple(settings.lora_targets)):
            continue
        rows, columns = module.weight.shape
        width = columns if isinstance(module, nn.Linear) else rows
        weights += settings.lora_rank * (rows + columns)
        inputs += width
    return weights, inputs
