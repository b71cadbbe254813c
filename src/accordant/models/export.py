"""An adapter made part of the weights: one plain model out of two.

Knows PEFT and number formats. Writing the result is `models.saving`'s work.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.models.adapters import is_adapted, without_wrappers
from accordant.models.loading import load_model
from accordant.models.quiet import quiet_transformers
from accordant.models.saving import check_output_folder, save_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn


def merge_adapter(model: nn.Module) -> Any:
    """Add the adapter's update to the weights it sits on: W + (alpha / rank) B A.

    The sum is formed in float32 and rounded once to the type of the weights. The model that is
    passed in is used up.

    Args:
        model: a PEFT model; a plain model is returned as it is.

    Returns:
        a plain transformers model.
    """
    import torch

    inner = without_wrappers(model)
    if not is_adapted(inner):
        return inner
    dtype = inner.get_base_model().dtype
    with quiet_transformers(), torch.no_grad():
        merged = inner.float().merge_and_unload().to(dtype)
    merged.requires_grad_(True)
    return merged


def export_merged(
    adapter: str,
    folder: str | Path,
    *,
    card: str,
    stop_ids: Sequence[int] = (),
    overwrite: bool = False,
) -> Path:
    """Load an adapter folder, merge it and write a plain model folder.

    Raises:
        UserError: `adapter` is no adapter folder, or `folder` cannot be written.
    """
    check_output_folder(folder, overwrite=overwrite)
    loaded = load_model(adapter)
    if loaded.source.kind != "adapter":
        raise UserError(
            f"{adapter!r} holds no adapter.",
            where="model",
            mend="Name a folder with adapter_config.json.",
        )
    model = merge_adapter(loaded.model)
    return save_model(
        model, loaded.tokenizer, folder, card=card, stop_ids=stop_ids, overwrite=overwrite
    )
