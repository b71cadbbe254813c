"""What a data source names: a file, a folder with splits, or a hub id.

Knows paths and split names. Knows nothing of file contents.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from accordant.base.errors import UserError
from accordant.feedback.files import SUFFIXES, read_file, suffix_of
from accordant.feedback.hub import choose_split, read_hub, read_saved
from accordant.feedback.rows import BadRow, RawRow

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "test",
    "evaluation": "test",
}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def read_rows(
    source: str, split: str | None, subset: str | None, visible: Callable[[str], str]
) -> Iterator[RawRow | BadRow]:
    """Read the rows of a file, a folder or a hub id.

    Args:
        source: path or hub id; a path that exists wins.
        split: `train`, `test`, `validation` or a name of the data set's own; None takes `train`.
        subset: a sub-folder, or the hub data set's configuration.
        visible: gives a column's name after renaming.

    Raises:
        UserError: nothing there, or no such split or subset.
    """
    if not source.strip():
        raise UserError("no data is named.", where="--data", mend="Name a file, folder or hub id.")
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            return _read_folder(path, split, subset, visible)
        if path.is_file():
            _check_single_file(path, split, subset)
            return read_file(path, visible)
    except OSError as error:
        raise UserError(f"it cannot be read: {error.strerror}.", where=source) from None
    looks_local = source.startswith((".", "/", "~")) or source.lower().endswith(SUFFIXES)
    if looks_local or not HUB_ID.fullmatch(source):
        raise _not_found(path)
    return read_hub(source, split, subset, visible)


def _check_single_file(path: Path, split: str | None, subset: str | None) -> None:
    if subset is not None:
        raise UserError(
            "a single file has no subsets.", where=str(path), mend="Leave out `--subset`."
        )
    named = split_of(path.name) or "train"
    if split is not None and SPLIT_WORDS.get(split, split) != named:
        raise UserError(
            f"a single file has no split '{split}'.", where=str(path), mend="Leave out `--split`."
        )


def split_of(name: str) -> str | None:
    """Tell the split from a file's or folder's name, by its last word that names one."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_WORDS[word] for word in reversed(words) if word in SPLIT_WORDS), None)


def _read_folder(
    path: Path, split: str | None, subset: str | None, visible: Callable[[str], str]
) -> Iterator[RawRow | BadRow]:
    if subset is not None:
        folders = sorted(p.name for p in path.iterdir() if p.is_dir())
        if subset not in folders:
            found = ", ".join(folders) or "no folders"
            raise UserError(f"there is no subset '{subset}'; found {found}.", where=str(path))
        path = path / subset
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return read_saved(path, split, visible)
    return _read_all(_files_of_split(path, split), visible)


def _read_all(files: list[Path], visible: Callable[[str], str]) -> Iterator[RawRow | BadRow]:
    for file in files:
        yield from read_file(file, visible)


def _files_of_split(path: Path, split: str | None) -> list[Path]:
    """List the folder's data files of one split.

    Where no file or folder name tells a split, all files are for training; where some do, files
    that do not are left alone.
    """
    splits: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        hidden = any(part.startswith((".", "_")) for part in inside.parts)
        if not file.is_file() or hidden or not suffix_of(file) or file.name in NOT_DATA:
            continue
        names = [n for part in reversed(inside.parts) if (n := split_of(part)) is not None]
        splits.setdefault(names[0] if names else "", []).append(file)
    if not splits:
        raise UserError(
            "the folder holds no data files.",
            where=str(path),
            mend=f"Expected files ending in {', '.join(s for s in SUFFIXES if '.gz' not in s)}.",
        )
    unnamed = splits.pop("", [])
    splits = splits or {"train": unnamed}
    wanted = SPLIT_WORDS.get(split, split) if split else None
    return splits[choose_split(str(path), sorted(splits), wanted)]


NOT_DATA = frozenset({"dataset_infos.json", "dataset_info.json", "state.json", "config.json"})


def _not_found(path: Path) -> UserError:
    near: list[str] = []
    if path.parent.is_dir():
        names = [p.name for p in path.parent.iterdir()]
        near = difflib.get_close_matches(path.name, names, 1)
    hint = f"Did you mean '{path.parent / near[0]}'?" if near else "Check the path."
    return UserError("there is no such file or folder.", where=str(path), mend=hint)
