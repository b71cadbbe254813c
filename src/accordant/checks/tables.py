"""Tables that a check is given besides the feedback, row by row, and what is wrong with a cell.

Knows rows, columns and their values. Knows nothing of what a table says.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from accordant.base.errors import UserError, nearest
from accordant.feedback.records import Origin
from accordant.feedback.rows import BadRow, excerpt, kind_of
from accordant.feedback.sources import read_rows


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: its place, and value by column; cells that are empty, null or NaN are None."""

    origin: Origin
    values: Mapping[str, object]

    def text(self, column: str) -> str:
        """Return a cell that names something.

        Raises:
            UserError: it is empty, or a list or an object.
        """
        value = self._require(column)
        if not isinstance(value, str | int | float):
            raise self.error(f"found {kind_of(value)}, expected a name.", column)
        return str(value).strip()

    def number(self, column: str) -> float:
        """Return a finite number; true and false are 1 and 0.

        Raises:
            UserError: it is empty, or none.
        """
        value = self._require(column)
        if not isinstance(value, bool | int | float) or not _is_finite(value):
            kind = excerpt(value) if isinstance(value, str) else kind_of(value)
            # Infinities and numbers beyond floats are named as they are.
            kind = str(value) if kind == "a number" and not isinstance(value, str) else kind
            raise self.error(f"found {kind}, expected a finite number.", column)
        return float(value)

    def has(self, column: str) -> bool:
        """Tell whether the cell is there and not empty."""
        return self.values.get(column) is not None

    def error(self, message: str, column: str, mend: str = "") -> UserError:
        """Make an error at this row and column."""
        return UserError(message, where=f"{self.origin}, column '{column}'", mend=mend)

    def _require(self, column: str) -> object:
        value = self.values.get(column)
        if value is None:
            state = "is empty" if column in self.values else "is missing from this row"
            mend = "Give every row a value in this column."
            raise self.error(f"the value {state}.", column, mend)
        return value


def read_table(path: str, required: Collection[str]) -> list[TableRow]:
    """Read a JSONL, JSON, CSV or Parquet file.

    Args:
        path: of the file.
        required: columns that some row must have.

    Raises:
        UserError: there is no such file, it has no rows, a row cannot be read, or a column is
            missing.
    """
    rows = list(_rows(path))
    if not rows:
        raise UserError("the table has no rows.", where=path)
    columns = dict.fromkeys(name for row in rows for name in row.values)
    for name in required:
        if name not in columns:
            raise UserError(
                f"there is no column '{name}'; found {', '.join(columns)}.",
                where=path,
                mend=f"{nearest(name, columns) if len(columns) > 1 else ''} The table needs the "
                f"columns {', '.join(required)}.".strip(),
            )
    return rows


def _rows(path: str) -> Iterator[TableRow]:
    # Columns keep their names: other tools' names are for feedback alone.
    for row in read_rows(path):
        if isinstance(row, BadRow):
            raise UserError(row.message, where=row.where, mend=row.mend)
        values = {name: _known(value) for name, value in row.values.items()}
        yield TableRow(row.origin, values)


def _known(value: object) -> object:
    """Return the value, or None where it says that there is none."""
    # CSV writes nothing for nothing, and Parquet NaN.
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if isinstance(value, str) and not value.strip() else value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of floats
        return False
