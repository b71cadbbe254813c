"""Rows of a source written back, without those that were left out.

Knows sources, file formats and atomic writes. Knows nothing of why a row is left out. Values are
written as they were read, under the names of their own columns.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from accordant.base.errors import UserError
from accordant.base.files import write_whole
from accordant.feedback.files import READERS, suffix_of
from accordant.feedback.records import Origin
from accordant.feedback.rows import BadRow
from accordant.feedback.sources import read_rows


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the rows of a source.

    Args:
        kept: rows written.
        dropped: rows left out because they were named.
        unreadable: rows that held nothing that could be written.
    """

    kept: int
    dropped: int
    unreadable: int


def check_target(target: Path, source: str, *, overwrite: bool) -> None:
    """Refuse a file that must not be written, before any work is done for it.

    Raises:
        UserError: an unknown format, a file that exists, or the source itself.
    """
    if not suffix_of(target):
        raise UserError(
            f"rows cannot be written as '{target.suffix}'.",
            where=str(target),
            mend=f"Let the name end in one of {', '.join(READERS)}.",
        )
    read = Path(source).expanduser()
    # A file within the folder that is read would be read as feedback the next time.
    if target.exists() and read.exists() and target.resolve().is_relative_to(read.resolve()):
        raise UserError(
            "this would replace the feedback itself.",
            where=str(target),
            mend="Choose another file.",
        )
    if target.exists() and not overwrite:
        raise UserError(
            "the file exists.", where=str(target), mend="Choose another, or add --overwrite."
        )


def write_without(
    source: str,
    target: Path,
    drop: Collection[Origin],
    *,
    split: str | None = None,
    subset: str | None = None,
    limit: int | None = None,
) -> Written:
    """Write the rows of a source to `target`, in order, without those in `drop`.

    The format is told by the name of `target`, which appears whole or not at all.

    Args:
        source: file, folder or hub id, as for `load_feedback`.
        target: file to write; `check_target` says whether it may be.
        drop: rows to leave out.
        split: as for `load_feedback`.
        subset: as for `load_feedback`.
        limit: rows to read at most.

    Raises:
        UserError: the source cannot be read, nothing is left, or the file cannot be written.
    """
    left_out = set(drop)
    dropped = unreadable = 0
    kept: list[Mapping[str, object]] = []
    # As they stand in the file: layouts and renamed columns are the reader's business.
    for row in islice(read_rows(source, split, subset), limit):
        if isinstance(row, BadRow):
            unreadable += 1
        elif row.origin in left_out:
            dropped += 1
        else:
            kept.append(row.values)
    if not kept:
        raise UserError(
            "every row would be left out.",
            where=str(target),
            mend="Filter by fewer checks (--only, --skip).",
        )
    write_rows(target, kept)
    return Written(len(kept), dropped, unreadable)


def write_rows(target: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows in the format that the name of `target` tells; it appears whole or not at all.

    Raises:
        UserError: an unknown format, or the file cannot be written.
    """
    suffix = suffix_of(target)
    content = _encode(list(rows), suffix.removesuffix(".gz"))
    if suffix.endswith(".gz"):
        # No time stamp: the same rows give the same file.
        content = gzip.compress(content, mtime=0)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)
    except OSError as error:
        raise UserError(
            f"the rows cannot be written: {error.strerror or error}.", where=str(target)
        ) from error


def _encode(rows: Sequence[Mapping[str, object]], suffix: str) -> bytes:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if suffix == ".parquet":
        return _parquet({name: [row.get(name) for row in rows] for name in columns})
    if suffix in (".csv", ".tsv"):
        table = io.StringIO()
        delimiter = "\t" if suffix == ".tsv" else ","
        writer = csv.writer(table, delimiter=delimiter, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
        text = table.getvalue()
    elif suffix == ".json":
        text = "[\n" + ",\n".join(map(_json, rows)) + "\n]\n"
    else:
        text = "".join(f"{_json(row)}\n" for row in rows)
    # A lone surrogate (broken input) becomes its escape, which in JSON is valid as it stands.
    return text.encode("utf-8", "backslashreplace")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> object:
    """Convert values of Parquet files that JSON lacks."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _cell(value: object) -> str:
    """Write texts as they are, everything else as JSON, null as nothing: as cells are read."""
    if isinstance(value, str):
        return value
    return "" if value is None else _json(value)


def _parquet(columns: dict[str, list[object]]) -> bytes:
    import pyarrow
    from pyarrow.parquet import write_table

    buffer = io.BytesIO()
    try:
        write_table(pyarrow.table(columns), buffer)
    except pyarrow.ArrowException as error:
        raise UserError(
            f"a column holds values of different kinds, which Parquet cannot hold: {error}",
            where="--filter",
            mend="Write JSON lines (.jsonl) instead.",
        ) from None
    return buffer.getvalue()
