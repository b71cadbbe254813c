"""What a data source names: a file, a folder with splits, or a hub id.

Knows paths and split names. Knows nothing of file contents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from accordant.base.errors import UserError, did_you_mean
from accordant.feedback.files import READERS, read_file, suffix_of
from accordant.feedback.hub import choose_split, read_dataset
from accordant.feedback.rows import BadRow, RawRow

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
}
NOT_DATA = frozenset({"dataset_infos.json", "dataset_info.json", "state.json", "config.json"})
SHARD = re.compile(r"-\d+-of-\d+$")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def read_rows(
    source: str,
    split: str | None = None,
    subset: str | None = None,
    visible: Callable[[str], str] = str,
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
    looks_local = source.startswith((".", "/", "~")) or suffix_of(path)
    if looks_local or not HUB_ID.fullmatch(source):
        names = [place.name for place in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, names) or "Check the path."
        raise UserError("there is no such file or folder.", where=str(path), mend=hint)
    return read_dataset(
        source,
        split,
        lambda datasets: datasets.load_dataset(source, subset, split=split),
        visible,
    )


def _check_single_file(path: Path, split: str | None, subset: str | None) -> None:
    if subset is not None:
        raise UserError(
            "a single file has no subsets.", where=str(path), mend="Leave out `--subset`."
        )
    named = _split_of(path.name) or "train"
    if split is not None and SPLIT_WORDS.get(split, split) not in (named, _name_split(path.name)):
        raise UserError(
            f"a single file has no split '{split}'.", where=str(path), mend="Leave out `--split`."
        )


def _split_of(name: str) -> str | None:
    """Tell the split from a file's or folder's name, by its last word that names one."""
    # The last one, as in `eval_harness_train`: what comes before says what the set is for.
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_WORDS[word] for word in reversed(words) if word in SPLIT_WORDS), None)


def _read_folder(
    path: Path, split: str | None, subset: str | None, visible: Callable[[str], str]
) -> Iterator[RawRow | BadRow]:
    if subset is not None:
        folders = sorted(place.name for place in path.iterdir() if place.is_dir())
        if subset not in folders:
            names = ", ".join(folders) or "no folders"
            raise UserError(f"there is no subset '{subset}'; found {names}.", where=str(path))
        path = path / subset
    # What `save_to_disk` wrote is Arrow under names of its own, which the library alone can read.
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return read_dataset(
            str(path), split, lambda datasets: datasets.load_from_disk(str(path)), visible
        )
    files = _files_of_split(path, split)
    return (row for file in files for row in read_file(file, visible))


def _list_splits(path: Path) -> dict[str, list[Path]]:
    """List a folder's data files by the split that names tell, empty where none does."""
    splits: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*")):
        parts = file.relative_to(path).parts
        hidden = any(part.startswith((".", "_")) for part in parts)
        if not file.is_file() or hidden or not suffix_of(file) or file.name in NOT_DATA:
            continue
        # The file's own name counts before that of its folder.
        named = next(filter(None, map(_name_split, reversed(parts))), "")
        splits.setdefault(named, []).append(file)
    return splits


def find_test_files(source: str, subset: str | None = None) -> list[Path]:
    """List the files of a folder that are for testing, beside others that are for training."""
    path = Path(source).expanduser() / (subset or "")
    splits = _list_splits(path) if path.is_dir() else {}
    kinds = {name: _split_of(name) or name for name in splits}
    if "train" not in kinds.values():
        return []
    held_out = [name for name, kind in kinds.items() if kind in ("test", "validation")]
    return [file for name in held_out for file in splits[name]]


def _files_of_split(path: Path, split: str | None) -> list[Path]:
    """List the folder's data files of one split.

    Where no file or folder name tells a split, all files are for training; where some do, files
    that do not are left alone. `train_prefs` and `train_sft` are splits of their own.
    """
    splits = _list_splits(path)
    if not splits:
        raise UserError(
            "the folder holds no data files.",
            where=str(path),
            mend=f"Expected files ending in {', '.join(READERS)}.",
        )
    unnamed = splits.pop("", [])
    splits = splits or {"train": unnamed}
    if split in splits:
        return splits[split]
    wanted = SPLIT_WORDS.get(split, split) if split else None
    kinds = {name: _split_of(name) or name for name in splits}
    is_kind = wanted is None or wanted in kinds.values()
    chosen = choose_split(str(path), sorted({*kinds.values()} if is_kind else splits), wanted)
    several = sorted(name for name, kind in kinds.items() if kind == chosen)
    if len(several) > 1:
        raise UserError(
            f"several splits could be the {chosen} split: {', '.join(several)}.",
            where=str(path),
            mend=f"Choose one, for example `--split {several[0]}`.",
        )
    return splits[several[0]]


def _name_split(name: str) -> str | None:
    """Name the split of a file or folder: what begins with a split's word is one of its own."""
    stem = SHARD.sub("", name.removesuffix(suffix_of(Path(name))).lower())
    begins = re.match(r"[a-z]+(?=_[a-z])", stem)
    return stem if begins and begins[0] in SPLIT_WORDS else _split_of(name)
