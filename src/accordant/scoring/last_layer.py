"""The last layer's MLP, run only where a continuation token is predicted.

Behind the last attention no token looks at another, and only predicting tokens are scored: what the
MLP would make of the others is never read. With long prompts that is most of a row.
Knows transformers' decoder layers. Knows nothing of tokens' meaning, losses or scores.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from accordant.models.hooks import decoder_layers

# Above this share of predicting tokens, picking them out costs more than it spares.
WORTHWHILE = 0.9


def spare_last_mlp(base: Any) -> None:
    """Let the last layer's MLP of a transformers model skip what is not read in a packed row.

    Calls without a `tree_layout`, and layers without a module `mlp`, are left as they are. Its
    output is zero for tokens that are not read.
    """
    layers = decoder_layers(base)
    if not layers:
        return
    layer = layers[-1]
    mlp = getattr(layer, "mlp", None)
    if not isinstance(mlp, nn.Module) or hasattr(mlp, "_read"):
        return
    mlp._read = None  # type: ignore[assignment]
    # The layer's hook tells its MLP, and tells it again when a checkpointed layer is recomputed.
    layer.register_forward_pre_hook(_tell_mlp, with_kwargs=True)
    mlp.register_forward_pre_hook(_pick)
    mlp.register_forward_hook(_put_back)


def _tell_mlp(layer: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    layout = kwargs.get("tree_layout")
    layer.mlp._read = None if layout is None else layout.read
    layer.mlp._full_shape = None


def _pick(mlp: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    chosen, hidden = mlp._read, args[0] if args else None
    if chosen is None or not isinstance(hidden, Tensor) or hidden.dim() != 3:
        return None
    if hidden.shape[0] != 1 or chosen.shape[0] > WORTHWHILE * hidden.shape[1]:
        return None
    mlp._full_shape = hidden.shape
    return (hidden.index_select(1, chosen), *args[1:])


def _put_back(mlp: Any, _args: tuple[Any, ...], output: Any) -> Any:
    if mlp._full_shape is None:
        return None
    whole = output.new_zeros((*mlp._full_shape[:-1], output.shape[-1]))
    mlp._full_shape = None
    return whole.index_copy(1, mlp._read, output)
