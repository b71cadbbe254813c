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
from typing import Any, BinaryIO, cast

from accordant.base.errors import UserError
from accordant.feedback.records import Origin
from accordant.feedback.rows import BadRow, RawRow, RowError, excerpt, kind_of

# Cells of these columns are text in a CSV file even where they look like numbers.
TEXT = (
    "prompt completion chosen rejected chosen_prompt rejected_prompt messages conversations "
    "conversation judgment critique instruction input output system question query response answer "
    "chosen_response rejected_response response_a response_b response_0 response_1 response_2 "
    "response1 response2 answer_0 answer_1 human_ref_A human_ref_B"
)
TEXT_COLUMNS = frozenset(TEXT.split())
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Rows of a Parquet file that are made Python objects at once.
BATCH = 1000

Numbered = Iterator[tuple[int, object]]
"""Numbers of rows, from 1, with what stands there: values by column, or a `RowError`."""


class Cells(dict[str, str]):
    """A row of a table whose values are text until their columns' names, as renamed, are known."""


def read_file(path: Path, visible: Callable[[str], str] = str) -> Iterator[RawRow | BadRow]:
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
            mend=f"Give one of {', '.join(READERS)}.",
        )
    try:
        with gzip.open(path) if suffix.endswith(".gz") else path.open("rb") as file:
            for number, values in READERS[suffix.removesuffix(".gz")](cast("BinaryIO", file)):
                yield as_row(values, Origin(str(path), number), visible)
    except UserError as error:
        raise error.at(str(path)) from None
    except (OSError, EOFError) as error:
        raise UserError(f"the file cannot be read: {error}.", where=str(path)) from None


def suffix_of(path: Path) -> str:
    """Return the part of a file's name that tells its format, '' when it tells none."""
    name = path.name.lower()
    return next((suffix for suffix in (*ZIPPED, *READERS) if name.endswith(suffix)), "")


def as_row(values: object, origin: Origin, visible: Callable[[str], str] = str) -> RawRow | BadRow:
    """Return a row under the names its columns have after renaming; what is no object is bad."""
    if isinstance(values, RowError):
        return BadRow.of(origin, values)
    if not isinstance(values, dict):
        return BadRow(
            origin,
            "row is not an object",
            f"found {kind_of(values)}, expected an object with one value per column.",
            'Write rows as {"prompt": ..., ...}.',
        )
    named = {visible(str(name)): value for name, value in values.items()}
    if isinstance(values, Cells):
        named = {name: _parse_cell(name, cell) for name, cell in named.items()}
    return RawRow(origin, named)


def _read_json_lines(file: BinaryIO) -> Numbered:
    """Read one object per line; a row's number is its line's, blank lines counted."""
    for number, line in enumerate(file, 1):
        line = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
        if line.strip():
            yield number, _parse_line(line)


def _parse_line(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1} of the line is not UTF-8."
        return RowError("not UTF-8", problem, "Write the file again as UTF-8.")
    except json.JSONDecodeError as error:
        around = excerpt(error.doc[max(error.colno - 20, 0) :], 40)
        return RowError(
            "broken JSON",
            f"the line is not JSON: {error.msg} at character {error.colno}: {around}.",
            "Write one complete JSON object per line.",
        )
    except (RecursionError, ValueError) as error:  # nesting or numbers beyond any use
        return RowError("broken JSON", f"the line cannot be read: {error}.")


def _read_json(file: BinaryIO) -> Numbered:
    """Read an array of objects, an object with one array of objects, or JSON lines."""
    content = file.read()
    try:
        data = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(f"byte {error.start + 1} is not UTF-8.") from None
    except json.JSONDecodeError as error:
        # Pandas and others write JSON lines under this name.
        if error.msg == "Extra data" and content.lstrip().startswith(b"{"):
            yield from _read_json_lines(io.BytesIO(content))
            return
        raise UserError(
            f"the file is not JSON: {error.msg} at line {error.lineno}, character {error.colno}.",
            mend="Mend it there, or write one object per line (.jsonl) so that rows can be read "
            "one by one.",
        ) from None
    except (RecursionError, ValueError) as error:
        raise UserError(f"the file cannot be read: {error}.") from None
    if isinstance(data, dict):
        tables = [v for v in data.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        # A single record of messages is an object that holds a list of objects, too.
        is_record = any(name in data for name in TEXT_COLUMNS)
        data = tables[0] if len(tables) == 1 and not is_record else [data]
    if not isinstance(data, list):
        raise UserError(f"the file holds {kind_of(data)}, expected a list of rows.")
    yield from enumerate(data, 1)


def _read_table(binary: BinaryIO, delimiter: str) -> Numbered:
    """Read a table with a header; rows are counted from 1 below it."""
    # No table library: those read the completion "42" as a number and "None" as a missing value.
    # Python's limit of 128 KiB a cell is less than a long conversation; this is Windows' longest.
    csv.field_size_limit(2**31 - 1)
    file = io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    quote = "Quote cells that hold commas, quotes or line breaks."
    try:
        header = next(reader, [])
        if twice := [name for name in header if header.count(name) > 1]:
            raise UserError(
                f"the header names the column '{twice[0]}' twice.",
                mend="Give every column a name of its own.",
            )
        for number, cells in enumerate(filter(None, reader), 1):
            if len(cells) == len(header):
                yield number, Cells(zip(header, cells, strict=True))
            else:
                problem = f"found {len(cells)} cells, expected {len(header)} as in the header."
                yield number, RowError("wrong number of cells", problem, quote)
    except UnicodeDecodeError:
        raise UserError("the file is not UTF-8.", mend="Write it again as UTF-8.") from None
    except csv.Error as error:
        line = f"line {reader.line_num}"
        raise UserError(f"the file is not CSV: {error}.", where=line, mend=quote) from None


def _parse_cell(name: str, cell: object) -> object:
    """Read a cell: text columns as text (or messages in JSON), others as JSON where they are."""
    cell = str(cell)
    if name in TEXT_COLUMNS:
        if not cell.lstrip().startswith(("[{", "{")):
            return cell
        value = _json_or_text(cell)
        messages = value if isinstance(value, list) else [value]
        is_messages = all(isinstance(m, dict) and ({"role", "from"} & m.keys()) for m in messages)
        return value if is_messages else cell
    if not cell.strip():
        return None
    # Python and R write booleans with a capital, which JSON does not know.
    lowered = cell.strip().lower()
    return lowered == "true" if lowered in ("true", "false") else _json_or_text(cell)


def _json_or_text(cell: str) -> Any:
    try:
        # CSV files spell "not a number" in many ways, JSON in one.
        return float("nan") if cell.strip().lower() == "nan" else json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _read_parquet(file: BinaryIO) -> Numbered:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        batches = ParquetFile(file).iter_batches(BATCH)
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)
    except pyarrow.ArrowException as error:
        line = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise UserError(
            f"the file is not readable as Parquet: {line[0]}",
            mend="Write it again, or give the rows as JSON lines.",
        ) from None


READERS: dict[str, Callable[[BinaryIO], Numbered]] = {
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".csv": lambda file: _read_table(file, ","),
    ".tsv": lambda file: _read_table(file, "\t"),
    ".parquet": _read_parquet,
}
ZIPPED = tuple(f"{suffix}.gz" for suffix in READERS if suffix != ".parquet")
