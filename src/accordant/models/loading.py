"""From a model's name to weights and tokenizer, ready to score, sample or train.

Knows transformers' and PEFT's loaders and turns their errors into ones a user can act on. Knows
nothing of data, losses or decoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
    classifier: bool = False,
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
        classifier: load a model of sequence classification, as reward models are, in its place.

    Raises:
        UserError: the model cannot be found, reached or read, or an adapter does not fit its base.
    """
    source = resolve_source(name)
    options = _options(revision, trust_remote_code)
    tokenizer = _tokenizer(source, options)
    if attn_implementation is not None:
        options["attn_implementation"] = attn_implementation
    model = _model(source, dtype, options, classifier=classifier).to(device or default_device())
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
    return _tokenizer(resolve_source(name), _options(revision, trust_remote_code))


def default_device() -> torch.device:
    """Return this process's GPU (by `LOCAL_RANK`) if there is one, else the CPU."""
    import os

    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def _options(revision: str | None, trust_remote_code: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    return options if revision is None else {**options, "revision": revision}


def _location(source: ModelSource) -> str:
    """Return what transformers calls the model: a hub id or an ordinary folder."""
    if source.path is None:
        return source.name
    is_gguf = source.kind in ("gguf", "embedded")
    return str(dequantised_folder(source.path) if is_gguf else source.path)


@contextmanager
def _reading(source: ModelSource, part: str) -> Iterator[None]:
    """Run a loader quietly; what it raises for absent or unsuitable files is a user's error."""
    from safetensors import SafetensorError

    try:
        with quiet_transformers():
            yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        # Transformers' messages have many lines of advice.
        reason = " ".join(str(error).split())
        reason = reason if len(reason) <= 300 else reason[:300] + "..."
        message = f"the {part} cannot be loaded ({reason})"
        mend = "Check that the folder is complete and of a supported architecture."
        if source.kind == "hub":
            message = (
                f"no folder of that name is here, and the {part} could not be had from the hub "
                f"({reason})"
            )
            mend = "Check the spelling and the connection, or give a local folder."
        raise UserError(message, where=source.name, mend=mend) from error


def _tokenizer(source: ModelSource, options: dict[str, Any]) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    # A folder that was written before tokenizers were saved with adapters, or by another tool.
    has_none = source.path is None or not (source.path / "tokenizer_config.json").is_file()
    if source.base is not None and has_none:
        return _tokenizer(source.base, options)
    location = _location(source)
    with _reading(source, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(location, **options)
    if tokenizer.pad_token_id is None:
        # Padding is masked everywhere by length, never by id, so sharing the id loses nothing.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def _model(
    source: ModelSource, dtype: DtypeName, options: dict[str, Any], *, classifier: bool = False
) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    auto_class: Any = AutoModelForSequenceClassification if classifier else AutoModelForCausalLM
    if source.base is not None:
        return _adapted_model(source, source.base, dtype, options)
    location = _location(source)
    wanted = "auto" if dtype == "auto" else getattr(torch, dtype)
    with _reading(source, "model"):
        model, info = auto_class.from_pretrained(
            location, dtype=wanted, output_loading_info=True, **options
        )
    # Transformers fills weights that no file holds in at random, and only warns.
    if missing := sorted(info.get("missing_keys") or ()):
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise UserError(
            f"{len(missing)} weights are missing from the model's files: {shown}.",
            where=source.name,
            mend="Use a folder that holds a complete model of this kind.",
        )
    # Training in float16 would need loss scaling.
    is_half = dtype == "auto" and model.dtype == torch.float16
    return model.to(torch.bfloat16) if is_half else model


def _adapted_model(
    source: ModelSource, base: ModelSource, dtype: DtypeName, options: dict[str, Any]
) -> PreTrainedModel:
    from peft import PeftModel

    from accordant.models.identity import weights_identity

    # A revision names a commit of the adapter's own repository, never of its base.
    base_options = {key: value for key, value in options.items() if key != "revision"}
    model = _model(base, dtype, base_options)
    # An identity is of weights in one number format: in another there is nothing to compare.
    comparable = source.base_identity is not None and source.base_dtype == str(model.dtype)
    if comparable and weights_identity(model) != source.base_identity:
        raise UserError(
            f"the adapter was trained on other weights than {base.name!r} has now.",
            where=str(source.path),
            mend="Load the adapter on the base it was trained on, or train it again.",
        )
    with _reading(source, "adapter"):
        return PeftModel.from_pretrained(model, str(source.path))
