"""GGUF files turned once into ordinary bfloat16 model folders, kept in the user's cache.

Knows files, hashes and transformers' GGUF reader. Two things are mended here that transformers 5
leaves wrong for training: the quantised mark, which blocks `save_pretrained` and gradients, and
SmolLM's pre-tokeniser, which must split digits before anything else.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.base.files import whole_folder
from accordant.models.quiet import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Raised whenever the conversion writes something else, so that older caches are not used.
FORMAT = 1

MANIFEST = "accordant_cache.json"


def cache_root() -> Path:
    """Return the folder of what can be computed again: `$ACCORDANT_CACHE`, else the XDG cache."""
    if root := os.environ.get("ACCORDANT_CACHE"):
        return Path(root).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "accordant"


def dequantised_folder(gguf: Path) -> Path:
    """Return the model folder made from `gguf`; convert it unless a sound copy is cached.

    The folder is keyed by the hash of the file and by the version of the conversion. It is written
    beside its place and renamed, under a lock, so that other processes see all of it or nothing; a
    damaged copy is found by its manifest and made again.

    Raises:
        UserError: the cache folder cannot be written, or the file cannot be read as a model.
    """
    from filelock import FileLock

    # By content: a file that was replaced under its old name is another model.
    folder = cache_root() / "models" / f"{gguf.stem}-{file_digest(gguf)[:16]}-v{FORMAT}"
    if is_sound(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(folder) + ".lock"):
            # Another process may have built it while this one waited.
            if not is_sound(folder):
                _build(gguf, folder)
    except OSError as error:
        raise UserError(
            f"the model cache cannot be written ({error}).",
            where=str(folder.parent),
            mend="Free space there, or set ACCORDANT_CACHE to a folder that can be written.",
        ) from error
    return folder


def file_digest(path: Path) -> str:
    """Return the blake2b hash of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()


def is_sound(folder: Path) -> bool:
    """Tell whether every file of a cached folder is the one its manifest describes.

    Size and modification time are compared first; only a file whose time differs (copied, touched
    or damaged) is hashed again.
    """
    try:
        manifest: dict[str, dict[str, Any]] = json.loads((folder / MANIFEST).read_text("utf-8"))
        return bool(manifest) and all(_matches(folder / name, m) for name, m in manifest.items())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False


def _matches(file: Path, expected: dict[str, Any]) -> bool:
    status = file.stat()
    if status.st_size != expected["size"]:
        return False
    return status.st_mtime_ns == expected["mtime_ns"] or file_digest(file) == expected["digest"]


def _build(gguf: Path, folder: Path) -> None:
    with whole_folder(folder) as partial:
        with quiet_transformers():
            model, tokenizer = _read_gguf(gguf)
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        manifest = {}
        for file in sorted(partial.iterdir()):
            size, time = file.stat().st_size, file.stat().st_mtime_ns
            manifest[file.name] = {"size": size, "mtime_ns": time, "digest": file_digest(file)}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _read_gguf(gguf: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place: dict[str, Any] = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**place)
        model = AutoModelForCausalLM.from_pretrained(
            **place, dtype=torch.bfloat16, **_dense_weights()
        )
    except (ValueError, KeyError, NotImplementedError) as error:
        raise UserError(
            f"transformers cannot read this GGUF file ({error}).",
            where=str(gguf),
            mend="Use the model's original folder or hub id instead.",
        ) from error
    _clear_quantised_mark(model)
    _split_digits_first(gguf, tokenizer)
    # The ids a reader of the folder stops at; GGUF names only one end-of-text token.
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def _dense_weights() -> dict[str, Any]:
    """Ask newer transformers for plain weights instead of packed GGUF blocks."""
    try:
        from transformers import GgufConfig
    except ImportError:
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


def _clear_quantised_mark(model: PreTrainedModel) -> None:
    # The weights are plain, but the mark would still block saving and gradients.
    for name in ("hf_quantizer", "quantization_method"):
        if getattr(model, name, None) is not None:
            setattr(model, name, None)
    model.is_quantized = False
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config
    packed = [name for name, p in model.named_parameters() if not p.is_floating_point()]
    if packed:
        raise RuntimeError(f"weights are still packed after reading the GGUF file: {packed[:3]}")


def _text_field(gguf: Path, key: str) -> str | None:
    """Read a text among the file's metadata, found by its key.

    GGUF writes the key's length (64 bits), the key, the type (32 bits, 8 for text), the text's
    length and the text, little-endian.
    """
    # The gguf package's reader would parse the whole vocabulary first, which takes seconds.
    start = struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", 8)
    with gguf.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(start)
        if at < 0:
            return None
        begin = at + len(start) + 8
        (length,) = struct.unpack("<Q", content[begin - 8 : begin])
        return content[begin : begin + length].decode("utf-8")


def _split_digits_first(gguf: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give SmolLM its own pre-tokeniser: single digits, then byte-level words."""
    from tokenizers import pre_tokenizers

    if _text_field(gguf, "tokenizer.ggml.pre") != "smollm":
        return
    # Transformers builds a plain GPT-2 pre-tokeniser for every byte-level GGUF vocabulary. With it
    # what stands before a digit joins otherwise than in training: '\n\n1' is three tokens, not two.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )
