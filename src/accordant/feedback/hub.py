"""Rows out of the `datasets` library: hub ids and folders written by `save_to_disk`.

Knows how that library names splits and subsets. Knows nothing of columns' meanings.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from accordant.base.errors import UserError
from accordant.feedback.records import Origin
from accordant.feedback.rows import BadRow, RawRow


@contextlib.contextmanager
def quiet_datasets() -> Iterator[Any]:
    """Import `datasets` with its progress bars and log off; put them back as they were.

    What it would log as an error reaches the user as one.
    """
    import logging

    import datasets

    shown = not datasets.are_progress_bars_disabled()
    verbosity = datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)
    try:
        yield datasets
    finally:
        datasets.logging.set_verbosity(verbosity)
        if shown:
            datasets.enable_progress_bars()


def read_hub(
    source: str, split: str | None, subset: str | None, visible: Callable[[str], str]
) -> Iterator[RawRow | BadRow]:
    """Read the rows of a data set by its hub id.

    Raises:
        UserError: no such data set, subset or split, no access, or no connection.
    """
    with quiet_datasets() as datasets:
        try:
            table = datasets.load_dataset(source, subset, split=split)
        except Exception as error:  # the library raises many kinds for what a user can mend
            raise _hub_error(source, error) from None
    yield from _rows(table, source, split, visible)


def read_saved(
    path: Path, split: str | None, visible: Callable[[str], str]
) -> Iterator[RawRow | BadRow]:
    """Read a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""
    with quiet_datasets() as datasets:
        try:
            table = datasets.load_from_disk(str(path))
        except Exception as error:
            raise _hub_error(str(path), error) from None
    yield from _rows(table, str(path), split, visible)


def choose_split(source: str, found: list[str], split: str | None) -> str:
    """Take the split asked for, else `train`, else the only one.

    Raises:
        UserError: the split asked for does not exist, or none was and there is no `train`.
    """
    wanted = split or ("train" if "train" in found else "")
    if not wanted and len(found) == 1:
        wanted = found[0]
    if wanted not in found:
        message = f"there is no split '{split}'" if split else "there is no split 'train'"
        raise UserError(
            f"{message}; found {', '.join(found) or 'none'}.",
            where=source,
            mend=f"Choose with `--split {found[0]}`." if found else "",
        )
    return wanted


def _rows(
    table: Any, source: str, split: str | None, visible: Callable[[str], str]
) -> Iterator[RawRow | BadRow]:
    if hasattr(table, "keys"):
        split = choose_split(source, list(table.keys()), split)
        table = table[split]
        source = f"{source} ({split})"
    for number, values in enumerate(table, 1):
        named = {visible(str(name)): value for name, value in values.items()}
        yield RawRow(Origin(source, number), named)


def _hub_error(source: str, error: Exception) -> UserError:
    text = " ".join(str(error).split()) or type(error).__name__
    mend = "Check the id and the connection, or give a local file or folder."
    lowered = text.lower()
    if "config name" in lowered or "builderconfig" in lowered:
        mend = "Choose with `--subset NAME`."
    elif "unknown split" in lowered:
        mend = "Choose with `--split NAME`."
    elif "gated" in lowered or "401" in text or "403" in text:
        mend = "Ask for access on its page and log in with `hf auth login`."
    if len(text) > 400:
        text = text[:400] + "…"
    return UserError(f"the data set cannot be loaded: {text}", where=source, mend=mend)
