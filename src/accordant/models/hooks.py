"""States inside a model's layers, read and edited while it runs, by hooks that go again.

Knows where the decoder layers of transformers' families are, under PEFT and other wrappers. Knows
nothing of token trees, of decoding or of what an edit is for: it holds for every forward pass
inside the block, packed rows and generation alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from accordant.base.errors import UserError
from accordant.models.adapters import base_model_of

Site = Literal["layer", "heads", "mlp"]
"""Where in a layer: its output (the residual stream behind it), what attention's heads put into the
output projection (head after head, `[..., heads * head width]`), or the output of its MLP."""

LayerSite = tuple[int, Site]
"""A layer, from 0 or negative from the end, and a site of it."""

# What families call their layers, attention and its output projection.
_LAYERS, _ATTENTION, _PROJECTION = (
    ("layers", "h", "blocks"),
    ("self_attn", "attn", "self_attention", "mixer"),
    ("o_proj", "c_proj", "out_proj", "dense"),
)


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the states at one site.

    Args:
        layer: from 0, or negative from the end.
        site: where in the layer.
        function: takes states `[rows, tokens, width]` in the model's dtype and returns what they
            become, of the same shape. It must work token by token: a row may hold padding or many
            sequences, and the last layer's MLP leaves out (as zeros) tokens that nobody reads.
    """

    layer: int
    site: Site
    function: Callable[[Tensor], Tensor]


def backbone_of(base: Any) -> Any:
    """Return the part of a transformers model that makes hidden states: all but its head."""
    prefix = getattr(base, "base_model_prefix", "")
    # Llama 4's text model keeps the prefix of the model of several modalities.
    return getattr(base, prefix, None) or getattr(base, "model", base)


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """Return the decoder layers inside any wrappers, first to last; none in an unknown family."""
    backbone = backbone_of(base_model_of(model))
    layers = next((getattr(backbone, n) for n in _LAYERS if hasattr(backbone, n)), None)
    return list(layers) if isinstance(layers, nn.ModuleList) else []


@contextmanager
def edited(model: nn.Module, edits: Sequence[Edit]) -> Iterator[None]:
    """Apply `edits` in every forward pass inside the block; gradients flow through them.

    Edits of one site are applied in their order; blocks nest, the inner one's come last.

    Raises:
        UserError: the model has no such layer or site; when it runs, an edit changes the shape.
    """
    with ExitStack() as stack:
        for edit in edits:
            stack.enter_context(_attach(model, edit))
        yield


@contextmanager
def captured(model: nn.Module, sites: Sequence[LayerSite]) -> Iterator[dict[LayerSite, Tensor]]:
    """Keep the states of the latest forward pass at `sites`, as edits made before leave them.

    Yields:
        `[rows, tokens, width]` by site, as the model holds them, in its graph; filled by the first
        pass inside the block. `scoring.read_states` reads and reduces them for token trees.

    Raises:
        UserError: the model has no such layer or site.
    """
    states_at: dict[LayerSite, Tensor] = {}

    def keeper(site: LayerSite) -> Callable[[Tensor], Tensor]:
        def keep(states: Tensor) -> Tensor:
            states_at[site] = states
            return states

        return keep

    with edited(model, [Edit(*site, keeper(site)) for site in sites]):
        yield states_at


def _attach(model: nn.Module, edit: Edit) -> RemovableHandle:
    module = _module_of(decoder_layers(model), edit)

    def edit_first(values: Any) -> Any:
        """Edit a tensor, or the first of a tuple: some layers return more than their states."""
        states, rest = (values[0], values[1:]) if isinstance(values, tuple) else (values, None)
        changed = edit.function(states)
        if changed.shape != states.shape:
            raise UserError(
                f"the edit returned states of shape {list(changed.shape)}, "
                f"expected {list(states.shape)}.",
                where=f"layer {edit.layer}, {edit.site}",
            )
        # A float32 direction would make wider states than the next layer's weights take.
        changed = changed.to(states.dtype)
        return changed if rest is None else (changed, *rest)

    if edit.site == "heads":
        # What the heads say is what their output projection is given, before it mixes them.
        return module.register_forward_pre_hook(lambda _, args: edit_first(args))
    return module.register_forward_hook(lambda _, _args, output: edit_first(output))


def _module_of(layers: Sequence[nn.Module], edit: Edit) -> nn.Module:
    """Find the module whose output (for `heads`, whose input) an edit changes."""
    if not -len(layers) <= edit.layer < len(layers):
        raise UserError(
            f"there is no layer {edit.layer}.",
            mend=f"The model has layers 0 to {len(layers) - 1}."
            if layers
            else "Layers of this family stand in no list that is known here (models/hooks.py).",
        )
    layer = layers[edit.layer]
    attention = next((getattr(layer, n) for n in _ATTENTION if hasattr(layer, n)), None)
    projection = next((getattr(attention, n) for n in _PROJECTION if hasattr(attention, n)), None)
    sites = {"layer": layer, "heads": projection, "mlp": getattr(layer, "mlp", None)}
    module = sites.get(edit.site)
    if not isinstance(module, nn.Module):
        raise UserError(
            f"a {type(layer).__name__} has no site {edit.site!r}.",
            mend=f"The sites are {', '.join(get_args(Site))}.",
        )
    return module
