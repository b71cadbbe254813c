"""Rows out of the `datasets` library: hub ids and folders written by `save_to_disk`.

Knows how that library names splits and subsets. Knows nothing of columns' meanings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from accordant.base.errors import UserError
from accordant.feedback.files import as_row
from accordant.feedback.records import Origin
from accordant.feedback.rows import BadRow, RawRow


@contextmanager
def quiet_datasets() -> Iterator[Any]:
    """Import `datasets` with its progress bars and log off; put them back as they were.

    What it would log as an error reaches the user as one.
    """
    import logging

    import datasets

    # Its download bars would stand in the middle of ours.
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


def read_dataset(
    source: str, split: str | None, load: Callable[[Any], Any], visible: Callable[[str], str]
) -> Iterator[RawRow | BadRow]:
    """Read the rows of a data set that `load` gets from the library, a table or several splits.

    Raises:
        UserError: no such data set, subset or split, no access, or no connection.
    """
    with quiet_datasets() as datasets:
        try:
            table = load(datasets)
        except Exception as error:  # the library raises many kinds for what a user can mend
            raise _dataset_error(source, error) from None
    # Several splits come as a dict of tables, one split as a table.
    if hasattr(table, "keys"):
        split = choose_split(source, list(table.keys()), split)
        table, source = table[split], f"{source} ({split})"
    for number, values in enumerate(table, 1):
        yield as_row(values, Origin(source, number), visible)


def choose_split(source: str, splits: Sequence[str], split: str | None) -> str:
    """Take the split asked for, else `train`, else the only one.

    Raises:
        UserError: the split asked for does not exist, or none was and there is no `train`.
    """
    wanted = split or (splits[0] if len(splits) == 1 else "train")
    if wanted not in splits:
        raise UserError(
            f"there is no split '{wanted}'; found {', '.join(splits) or 'none'}.",
            where=source,
            mend=f"Choose with `--split {splits[0]}`." if splits else "",
        )
    return wanted


def _dataset_error(source: str, error: Exception) -> UserError:
    text = " ".join(str(error).split()) or type(error).__name__
    lowered = text.lower()
    mend = "Check the id and the connection, or give a local file or folder."
    if "config name" in lowered or "builderconfig" in lowered:
        mend = "Choose with `--subset NAME`."
    elif "unknown split" in lowered:
        mend = "Choose with `--split NAME`."
    elif "gated" in lowered or "401" in text or "403" in text:
        mend = "Ask for access on its page and log in with `hf auth login`."
    text = text if len(text) <= 400 else text[:400] + "…"
    return UserError(f"the data set cannot be loaded: {text}", where=source, mend=mend)
