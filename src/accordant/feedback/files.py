"""Rows out of one local file: JSONL, JSON, CSV, Parquet.

Knows file formats. Knows nothing of columns' meanings, record types or tokens. A row that cannot
be read is a `BadRow`; a file that cannot be read is a `UserError`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from accordant.base.errors import UserError
from accordant.feedback.records import Origin
from accordant.feedback.rows import BadRow, RawRow, RowError, excerpt, kind_of

JSON_LINES = (".jsonl", ".ndjson")
TEXT_SUFFIXES = (*JSON_LINES, ".json", ".csv", ".tsv")
SUFFIXES = (*TEXT_SUFFIXES, *(f"{suffix}.gz" for suffix in TEXT_SUFFIXES), ".parquet")

# Cells of these columns are text in a CSV file even where they look like numbers.
TEXT_COLUMNS = frozenset(
    [
        "prompt",
        "completion",
        "chosen",
        "rejected",
        "chosen_prompt",
        "rejected_prompt",
        "messages",
        "conversations",
        "conversation",
        "judgment",
        "critique",
        "instruction",
        "input",
        "output",
        "system",
        "question",
        "query",
        "response",
        "answer",
    ]
)


def suffix_of(path: Path) -> str:
    """Return the part of a file's name that tells its format, '' when it tells none."""
    name = path.name.lower()
    return next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(s)), "")


def read_file(path: Path, visible: Callable[[str], str]) -> Iterator[RawRow | BadRow]:
    """Read the rows of one file.

    Args:
        path: an existing file.
        visible: gives a column's name after renaming; CSV cells are read by it.

    Raises:
        UserError: unknown format, or a file that is broken as a whole.
    """
    suffix = suffix_of(path)
    if not suffix:
        raise UserError(
            f"the file type '{path.suffix}' is not known.",
            where=str(path),
            mend=f"Give one of {', '.join(s for s in SUFFIXES if not s.endswith('.gz'))}.",
        )
    try:
        yield from _reader(suffix.removesuffix(".gz"))(path, visible)
    except (OSError, EOFError) as error:
        raise UserError(f"the file cannot be read: {error}.", where=str(path)) from None


def _reader(
    suffix: str,
) -> Callable[[Path, Callable[[str], str]], Iterator[RawRow | BadRow]]:
    if suffix in JSON_LINES:
        return _read_json_lines
    if suffix == ".json":
        return _read_json
    return _read_parquet if suffix == ".parquet" else _read_csv


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rb")
    return path.open("rb")


def _read_json_lines(path: Path, visible: Callable[[str], str]) -> Iterator[RawRow | BadRow]:
    """Read one object per line; a row's number is its line's, blank lines counted."""
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if line.strip():
                yield _parse_line(line, Origin(str(path), number), visible)


def _parse_line(line: bytes, origin: Origin, visible: Callable[[str], str]) -> RawRow | BadRow:
    try:
        values = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1} of the line is not UTF-8."
        return BadRow(origin, "not UTF-8", problem, mend="Write the file again as UTF-8.")
    except json.JSONDecodeError as error:
        return BadRow(
            origin,
            "broken JSON",
            f"the line is not JSON: {error.msg} at character {error.colno}: "
            f"{excerpt(line.decode('utf-8')[max(error.colno - 20, 0) :], 40)}.",
            mend="Write one complete JSON object per line.",
        )
    except (RecursionError, ValueError) as error:  # nesting or numbers beyond any use
        return BadRow(origin, "broken JSON", f"the line cannot be read: {error}.")
    return as_row(values, origin, visible)


def as_row(values: object, origin: Origin, visible: Callable[[str], str]) -> RawRow | BadRow:
    """Return a row under the names its columns have after renaming; what is no object is bad."""
    if not isinstance(values, dict):
        return BadRow(
            origin,
            "row is not an object",
            f"found {kind_of(values)}, expected an object with one value per column.",
            mend='Write rows as {"prompt": ..., ...}.',
        )
    return RawRow(origin, {visible(str(name)): value for name, value in values.items()})


def _read_json(path: Path, visible: Callable[[str], str]) -> Iterator[RawRow | BadRow]:
    """Read an array of objects, an object with one array of objects, or JSON lines."""
    with _open(path) as file:
        content = file.read()
    try:
        data = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(f"byte {error.start + 1} is not UTF-8.", where=str(path)) from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and content.lstrip().startswith(b"{"):
            yield from _read_json_lines(path, visible)
            return
        raise UserError(
            f"the file is not JSON: {error.msg} at line {error.lineno}, character {error.colno}.",
            where=str(path),
            mend="Mend it there, or write one object per line (.jsonl) so that rows can be read "
            "one by one.",
        ) from None
    except (RecursionError, ValueError) as error:
        raise UserError(f"the file cannot be read: {error}.", where=str(path)) from None
    if isinstance(data, dict):
        tables = [v for v in data.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        # A single record of messages is an object that holds a list of objects, too.
        single = any(name in data for name in TEXT_COLUMNS)
        data = tables[0] if len(tables) == 1 and not single else [data]
    if not isinstance(data, list):
        raise UserError(
            f"the file holds {kind_of(data)}, expected a list of rows.", where=str(path)
        )
    for number, values in enumerate(data, 1):
        yield as_row(values, Origin(str(path), number), visible)


def _read_csv(path: Path, visible: Callable[[str], str]) -> Iterator[RawRow | BadRow]:
    """Read a table with a header; rows are counted from 1 below it.

    Written for this package rather than taken from a table library, which would read the
    completion "42" as a number and the completion "None" as a missing value.
    """
    csv.field_size_limit(2**31 - 1)
    delimiter = "\t" if ".tsv" in path.name.lower() else ","
    with _open(path) as binary:
        file = io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = [visible(name) for name in next(reader, [])]
            _check_header(header, path)
            for number, cells in enumerate((c for c in reader if c), 1):
                yield _csv_row(header, cells, Origin(str(path), number))
        except UnicodeDecodeError:
            raise UserError(
                "the file is not UTF-8.", where=str(path), mend="Write it again as UTF-8."
            ) from None
        except csv.Error as error:
            raise UserError(
                f"the file is not CSV: {error}.",
                where=f"{path}, line {reader.line_num}",
                mend="Quote cells that hold commas, quotes or line breaks.",
            ) from None


def _check_header(header: list[str], path: Path) -> None:
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"the header names the column '{twice}' twice.",
            where=str(path),
            mend="Give every column a name of its own.",
        )


def _csv_row(header: list[str], cells: list[str], origin: Origin) -> RawRow | BadRow:
    if len(cells) != len(header):
        return BadRow(
            origin,
            "wrong number of cells",
            f"found {len(cells)} cells, expected {len(header)} as in the header.",
            mend="Quote cells that hold commas, quotes or line breaks.",
        )
    pairs = zip(header, cells, strict=True)
    return RawRow(origin, {name: _cell(name, cell) for name, cell in pairs})


def _cell(name: str, cell: str) -> object:
    """Read a cell: text columns as text (or messages in JSON), others as JSON where they are."""
    if name in TEXT_COLUMNS:
        if not cell.lstrip().startswith(("[{", "{")):
            return cell
        value = _json_or_text(cell)
        messages = value if isinstance(value, list) else [value]
        is_messages = all(isinstance(m, dict) and ({"role", "from"} & m.keys()) for m in messages)
        return value if is_messages else cell
    if not cell.strip():
        return None
    lowered = cell.strip().lower()
    return lowered == "true" if lowered in ("true", "false") else _json_or_text(cell)


def _json_or_text(cell: str) -> Any:
    try:
        # csv files spell "not a number" in many ways, JSON in one.
        return float("nan") if cell.strip().lower() == "nan" else json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _read_parquet(path: Path, visible: Callable[[str], str]) -> Iterator[RawRow | BadRow]:
    """Stream the rows through the `datasets` library, without a copy in its cache."""
    from accordant.feedback.hub import quiet_datasets

    try:
        with quiet_datasets() as datasets:
            table = datasets.load_dataset(
                "parquet", data_files=str(path), split="train", streaming=True
            )
            for number, values in enumerate(table, 1):
                yield as_row(values, Origin(str(path), number), visible)
    except (OSError, RowError):
        raise
    except Exception as error:  # pyarrow and datasets raise many kinds for a broken file
        line = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise UserError(
            f"the file is not readable as Parquet: {line[0]}",
            where=str(path),
            mend="Write it again, or give the rows as JSON lines.",
        ) from None
