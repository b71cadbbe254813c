"""What is known of a model before its weights are loaded: configuration, tokenizer, positions.

Knows names and configurations. Knows nothing of weights or of what a model is used for.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.models.loading import load_tokenizer
from accordant.models.quiet import quiet_transformers
from accordant.models.settings import ModelSettings
from accordant.models.sources import resolve_source

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model without its weights.

    Args:
        config: transformers' configuration.
        tokenizer: with a padding token set.
    """

    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase

    @property
    def positions(self) -> int | None:
        """Most tokens a sequence may have; None where the model names no limit."""
        return position_limit(self.config)


def read_facts(settings: ModelSettings, name: str | None = None) -> ModelFacts:
    """Read the configuration and the tokenizer of a model; loads no weights.

    Args:
        settings: name the model and say how it is fetched.
        name: another model, fetched in the same way; None is that of the settings.

    Raises:
        UserError: there is no such model, or its files cannot be read.
    """
    access = settings.access(name)
    name = settings.model if name is None else name
    return ModelFacts(read_model_config(name, **access), load_tokenizer(name, **access))


def position_limit(model: Any) -> int | None:
    """Return the most tokens a sequence may have in all; None where the model names no limit.

    Args:
        model: a model, or its configuration.
    """
    limit: int | None = getattr(text_config(model), "max_position_embeddings", None)
    return limit


def text_config(model: Any) -> Any:
    """Return the configuration of the language model in a model, or in a configuration."""
    config = getattr(model, "config", model)
    # Multimodal models keep their language model's numbers one level down.
    return config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config


def read_model_config(
    name: str, *, revision: str | None = None, trust_remote_code: bool = False
) -> PreTrainedConfig:
    """Read the configuration of a model by name, without its weights.

    Raises:
        UserError: there is no such model, or its configuration cannot be read.
    """
    from transformers import AutoConfig

    source = resolve_source(name)
    source = source.base or source
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if revision is not None and source.kind == "hub":
        options["revision"] = revision
    try:
        with quiet_transformers():
            if source.path is not None and source.kind in ("gguf", "embedded"):
                # Copied, as whoever reads a configuration may change it.
                return copy.deepcopy(_config_in_gguf(source.path, source.path.stat().st_mtime_ns))
            return AutoConfig.from_pretrained(str(source.path or source.name), **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(
            f"the model's configuration cannot be read ({' '.join(str(error).split())[:200]}).",
            where=name,
            mend="Check the name and the connection, or give a local folder.",
        ) from error


@functools.lru_cache(maxsize=4)
def _config_in_gguf(file: Path, modified: int) -> PreTrainedConfig:  # noqa: ARG001 - a cache key
    """Return a GGUF file's configuration, kept while the file is the same."""
    from transformers import AutoConfig

    # Seconds, as the whole vocabulary is among the fields that are parsed.
    return AutoConfig.from_pretrained(str(file.parent), gguf_file=file.name)
