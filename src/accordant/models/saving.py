"""Models written as ordinary folders that transformers, vLLM and PEFT read.

Knows files, disks and what such a folder holds. A folder appears whole or not at all, and one that
exists is not touched unless its owner said so.
"""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.base.files import whole_folder
from accordant.models.adapters import is_adapted, without_wrappers
from accordant.models.quiet import quiet_transformers
from accordant.models.sources import BASE_RECORD, ModelSource

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

# Bytes kept free beyond what is written: tokenizer, report, and other programs' needs.
MARGIN = 64 * 1024 * 1024


def save_model(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    folder: str | Path,
    *,
    card: str,
    stop_ids: Sequence[int] = (),
    overwrite: bool = False,
    source: ModelSource | None = None,
    state_dict: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write a model, or its adapter, as an ordinary folder.

    The folder gets safetensors, configuration, tokenizer with chat template, a generation
    configuration that stops at `stop_ids`, and the model card. A model with an adapter is written
    as a PEFT adapter folder. Everything is written beside the folder and renamed at the end.

    Args:
        model: a transformers model, or a PEFT model around one; wrappers are looked through.
        tokenizer: its tokenizer.
        folder: where to; its parents are made.
        card: text of README.md.
        stop_ids: tokens that end an answer, the trained one first; without any, the generation
            configuration is kept as it is.
        overwrite: replace what is in `folder`, all of it.
        source: where an adapter's base came from; recorded so that any machine finds it again.
        state_dict: weights to write instead of the model's own (gathered from sharded ones).

    Returns:
        the folder.

    Raises:
        UserError: the folder exists and `overwrite` is not set, or it cannot be written.
    """
    target = Path(folder)
    inner = without_wrappers(model)
    check_output_folder(target, overwrite=overwrite, bytes_needed=saved_bytes(inner))
    try:
        with whole_folder(target) as partial:
            with quiet_transformers():
                inner.save_pretrained(partial, state_dict=state_dict)
                tokenizer.save_pretrained(partial)
                _save_generation_config(inner, tokenizer, stop_ids, partial)
            if is_adapted(inner) and source is not None:
                _record_base(inner, source.base or source, partial)
            (partial / "README.md").write_text(card, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"the model could not be written ({error}).",
            where=str(target),
            mend="Free space there or choose another folder; what was there is unchanged.",
        ) from error
    return target


def check_output_folder(folder: str | Path, *, overwrite: bool, bytes_needed: int = 0) -> None:
    """Find out before the work whether its result can be written.

    Writes and removes a small file in `folder`, or in the nearest folder above it that exists, and
    asks for free space. Leaves nothing behind.

    Args:
        folder: where the result will go.
        overwrite: whether something that is there may be replaced.
        bytes_needed: size of the result.

    Raises:
        UserError: something is there and `overwrite` is not set; a file stands in the way; the
            place cannot be written to; too little space.
    """
    target = Path(folder)
    where = str(target)
    if target.exists() and not target.is_dir():
        raise UserError("a file stands where the folder should be.", where=where)
    if target.is_dir() and any(target.iterdir()) and not overwrite:
        raise UserError(
            "the output folder exists and is not empty.",
            where=where,
            mend="Choose another folder, or allow replacing it with --overwrite.",
        )
    try:
        nearest = next(place for place in (target, *target.absolute().parents) if place.exists())
        # A folder is replaced by renaming, which asks for the right to write beside it too.
        for place in {nearest, target.parent} if nearest == target else {nearest}:
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(b"\0")
        free = shutil.disk_usage(nearest).free
    except OSError as error:
        raise UserError(
            f"the output folder cannot be written to ({error}).",
            where=where,
            mend="Choose a folder you may write to.",
        ) from error
    if bytes_needed and free < bytes_needed + MARGIN:
        raise UserError(
            f"{_gigabytes(bytes_needed + MARGIN)} are needed, {_gigabytes(free)} are free.",
            where=where,
            mend="Free space on that disk, or choose a folder on another.",
        )


def saved_bytes(model: nn.Module) -> int:
    """Return the bytes `save_model` will write for `model`: its adapter, or all of it."""
    # PEFT writes what it trains; frozen weights stay in the base's folder.
    adapted = is_adapted(model)
    return sum(
        parameter.numel() * parameter.element_size()
        for parameter in model.parameters()
        if parameter.requires_grad or not adapted
    )


def _save_generation_config(
    model: Any, tokenizer: PreTrainedTokenizerBase, stop_ids: Sequence[int], folder: Path
) -> None:
    config = copy.deepcopy(getattr(model, "generation_config", None))
    if config is None:
        return
    if stop_ids:
        config.eos_token_id = list(stop_ids) if len(stop_ids) > 1 else stop_ids[0]
    # Without one, generation would warn and pad with the end of the text on each call.
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    if not config.do_sample:
        # transformers refuses to save sampling options that greedy decoding would ignore.
        config.temperature = config.top_p = config.top_k = None
    config.save_pretrained(folder)


def _record_base(model: Any, base: ModelSource, folder: Path) -> None:
    """Say what the adapter sits on: PEFT records only a path, which is this machine's."""
    from accordant.models.identity import weights_identity

    record = {
        "name": str(base.path) if base.kind in ("folder", "gguf") else base.name,
        "identity": weights_identity(model, base_only=True),
        "dtype": str(model.get_base_model().dtype),
    }
    (folder / BASE_RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
