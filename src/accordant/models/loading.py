"""From a model's name to weights and tokenizer, ready to score, sample or train.

Knows transformers' and PEFT's loaders and turns their errors into ones a user can act on. Knows
nothing of data, losses or decoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from accordant.base.errors import UserError
from accordant.models.gguf_cache import dequantised_folder
from accordant.models.quiet import quiet_transformers
from accordant.models.settings import ModelSettings
from accordant.models.sources import ModelSource, resolve_source

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DtypeName = Literal["auto", "bfloat16", "float32"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, its tokenizer, and where both came from.

    Args:
        model: in evaluation mode, on one device; a PEFT model where the source is an adapter.
        tokenizer: with a padding token set.
        source: where it was found.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    source: ModelSource


def load_model(
    name: str | None,
    *,
    dtype: DtypeName = "auto",
    device: str | torch.device | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    attn_implementation: str | None = None,
) -> LoadedModel:
    """Load a causal language model and its tokenizer.

    Args:
        name: as for `resolve_source`; None is the embedded default.
        dtype: `auto` keeps the type the weights are stored in, except float16, which becomes
            bfloat16 (training in float16 needs loss scaling, which accordant does not do).
        device: where the weights go; None takes this process's GPU if there is one, else the CPU.
        revision: branch, tag or commit of a hub model.
        trust_remote_code: run model code that comes with the weights.
        attn_implementation: transformers' attention to use; None lets transformers choose.

    Raises:
        UserError: the model cannot be found, reached or read, or an adapter does not fit its base.
    """
    source = resolve_source(name)
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if revision is not None:
        options["revision"] = revision
    tokenizer = _tokenizer(source, options)
    if attn_implementation is not None:
        options["attn_implementation"] = attn_implementation
    model = _model(source, dtype, options).to(device or default_device())
    return LoadedModel(model.eval(), tokenizer, source)


def load(settings: ModelSettings, name: str | None = None) -> LoadedModel:
    """Load a model in the number format and on the device that settings ask for.

    Args:
        settings: name the model and say how it is loaded.
        name: another model, loaded in the same way; None is that of the settings.

    Raises:
        UserError: as for `load_model`.
    """
    return load_model(
        settings.model if name is None else name,
        dtype="bfloat16" if settings.precision == "bf16" else "float32",
        device="cpu" if settings.device == "cpu" else None,
        **settings.access(name),
    )


def load_tokenizer(
    name: str | None, *, revision: str | None = None, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model alone; arguments and errors as for `load_model`."""
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if revision is not None:
        options["revision"] = revision
    return _tokenizer(resolve_source(name), options)


def default_device() -> torch.device:
    """Return this process's GPU (by `LOCAL_RANK`) if there is one, else the CPU."""
    import os

    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def _location(source: ModelSource) -> str:
    """Return what transformers calls the model: a hub id or an ordinary folder."""
    if source.path is None:
        return source.name
    if source.kind in ("gguf", "embedded"):
        return str(dequantised_folder(source.path))
    return str(source.path)


def _tokenizer(source: ModelSource, options: dict[str, Any]) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    if source.kind == "adapter" and source.base is not None and not _has_tokenizer(source):
        return _tokenizer(source.base, options)
    location = _location(source)
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(location, **options)
    except _load_errors() as error:
        raise _load_error(source, error, "tokenizer") from error
    if tokenizer.pad_token_id is None:
        # Padding is masked everywhere by length, never by id, so sharing the id loses nothing.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def _has_tokenizer(source: ModelSource) -> bool:
    return source.path is not None and (source.path / "tokenizer_config.json").is_file()


def _model(source: ModelSource, dtype: DtypeName, options: dict[str, Any]) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForCausalLM

    if source.kind == "adapter":
        return _adapted_model(source, dtype, options)
    location = _location(source)
    wanted = "auto" if dtype == "auto" else getattr(torch, dtype)
    try:
        with quiet_transformers():
            model, info = AutoModelForCausalLM.from_pretrained(
                location, dtype=wanted, output_loading_info=True, **options
            )
    except _load_errors() as error:
        raise _load_error(source, error, "model") from error
    _refuse_missing_weights(source, info)
    if dtype == "auto" and model.dtype == torch.float16:
        model = model.to(torch.bfloat16)
    return model


def _adapted_model(
    source: ModelSource, dtype: DtypeName, options: dict[str, Any]
) -> PreTrainedModel:
    from peft import PeftModel

    assert source.base is not None
    # A revision names a commit of the adapter's own repository, never of its base.
    base_options = {key: value for key, value in options.items() if key != "revision"}
    base = _model(source.base, dtype, base_options)
    _refuse_other_base(source, base)
    try:
        with quiet_transformers():
            return PeftModel.from_pretrained(base, str(source.path))
    except _load_errors() as error:
        raise _load_error(source, error, "adapter") from error


def _refuse_other_base(source: ModelSource, base: PreTrainedModel) -> None:
    """Compare the base with the one the adapter was trained on.

    Only possible in the number format of that training; in another one there is nothing to compare.
    """
    from accordant.models.identity import weights_identity

    assert source.base is not None
    if source.base_identity is None or source.base_dtype != str(base.dtype):
        return
    if weights_identity(base) != source.base_identity:
        raise UserError(
            f"the adapter was trained on other weights than {source.base.name!r} has now.",
            where=str(source.path),
            mend="Load the adapter on the base it was trained on, or train it again.",
        )


def _refuse_missing_weights(source: ModelSource, info: dict[str, Any]) -> None:
    """Refuse files that lack weights: transformers fills them in at random and only warns."""
    missing = sorted(info.get("missing_keys") or ())
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise UserError(
            f"{len(missing)} weights are missing from the model's files: {shown}.",
            where=source.name,
            mend="Use a folder that holds a complete causal language model.",
        )


def _load_errors() -> tuple[type[Exception], ...]:
    """List what the loaders raise for absent, damaged or unsuitable files."""
    from safetensors import SafetensorError

    return (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)


def _load_error(source: ModelSource, error: Exception, what: str) -> UserError:
    reason = " ".join(str(error).split())
    if len(reason) > 300:
        reason = reason[:300] + "..."
    if source.kind == "hub":
        return UserError(
            f"no folder of that name is here, and the {what} could not be had from the hub "
            f"({reason})",
            where=source.name,
            mend="Check the spelling and the connection, or give a local folder.",
        )
    return UserError(
        f"the {what} cannot be loaded ({reason})",
        where=source.name,
        mend="Check that the folder is complete and of a supported architecture.",
    )
