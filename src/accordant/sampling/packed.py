"""Linear layers over weights that are laid out for products of few rows, on a processor.

Knows torch's linear layers and oneDNN's layouts. Knows nothing of models. A step of few rows does
little but read weights, and reads them up to twice as fast so; the results are the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

# With more rows than this a product computes more than it reads.
FEW_ROWS = 32

# Uses after which a weight is laid out anew: that costs about as much as so many uses gain.
WORTH = 16

# Of weights in all: they are held twice.
MOST_BYTES = 2 << 30


@dataclass(slots=True)
class Packed:
    """A weight as it was at some version of it, and how often it was used since.

    Args:
        version: where the weight lies, and how often it was written.
        uses: products since.
        weight: laid out anew; None where it is not worth it yet.
    """

    version: tuple[int, int] = (0, 0)
    uses: int = 0
    weight: Tensor | None = None


@contextmanager
def packed_weights(model: nn.Module, known: MutableMapping[nn.Module, Packed]) -> Iterator[None]:
    """Let linear layers of bfloat16 on a processor be quick inside the block, for inference.

    Args:
        model: its weights may change between blocks.
        known: what earlier blocks laid out; holds memory as long as it lives.
    """
    layers = [layer for layer in model.modules() if type(layer) is nn.Linear and _fits(layer)]
    if sum(layer.weight.nbytes for layer in layers) > MOST_BYTES:
        layers = []
    for layer in layers:
        layer.forward = partial(_product, layer, known.setdefault(layer, Packed()))  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _fits(layer: nn.Linear) -> bool:
    weight = layer.weight
    # A forward of its own is another's: accelerate's, or this one's in an outer block.
    free = "forward" not in vars(layer) and not weight.is_inference()
    right = weight.device.type == "cpu" and weight.dtype == torch.bfloat16
    return free and right and torch.backends.mkldnn.is_available()


def _product(layer: nn.Linear, packed: Packed, states: Tensor) -> Tensor:
    rows = states.numel() // states.shape[-1]
    if rows <= FEW_ROWS and torch.is_inference_mode_enabled():
        version = (layer.weight.data_ptr(), layer.weight._version)
        if packed.version != version:
            packed.version, packed.uses, packed.weight = version, 0, None
        packed.uses += 1
        if packed.uses == WORTH:
            # What inductor does with a frozen weight; it has no public name.
            packed.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)
        if packed.weight is not None:
            product: Tensor = torch.ops.mkldnn._linear_pointwise(
                states, packed.weight, layer.bias, "none", [], ""
            )
            return product
    return nn.functional.linear(states, layer.weight, layer.bias)
