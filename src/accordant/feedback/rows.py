"""Rows on their way from a file to a record, and what is wrong with them.

Knows row values, column names and places. Knows nothing of files, record types or tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accordant.base.errors import UserError
from accordant.feedback.records import Origin


class RowError(Exception):
    """What is wrong with one row; `load_feedback` adds the place and raises or skips.

    Args:
        reason: kind of mistake in a few words, the same for all rows that make it.
        message: what was found and what was expected.
        column: the column it was found in, as the user's file calls it.
        mend: what to do about it.
    """

    def __init__(self, reason: str, message: str, *, column: str = "", mend: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.column = column
        self.mend = mend


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it was read: column name to value."""

    origin: Origin
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that gave no record, and why.

    Args:
        origin: file and row.
        reason: kind of mistake in a few words; rows are counted by it.
        message: what was found and what was expected.
        column: the column at fault, empty where the whole row is.
        mend: what to do about it.
    """

    origin: Origin
    reason: str
    message: str
    column: str = ""
    mend: str = ""

    @property
    def where(self) -> str:
        """File, row and column in one line."""
        return f"{self.origin}, column '{self.column}'" if self.column else str(self.origin)

    @classmethod
    def of(cls, origin: Origin, problem: RowError) -> BadRow:
        """Give a problem its place."""
        return cls(origin, problem.reason, problem.message, problem.column, problem.mend)

    def as_error(self, further: int) -> UserError:
        """Return the error for this row, mentioning that `further` rows are bad as well."""
        also = (
            f"{further:,} more bad row{'s' if further > 1 else ''} follow{'s' * (further == 1)}; "
        )
        skip = (
            f"({also if further else ''}`--on-bad-row skip` leaves bad rows out and counts them.)"
        )
        return UserError(self.message, where=self.where, mend=f"{self.mend} {skip}".strip())


@dataclass(frozen=True, slots=True)
class Row:
    """A row under the names the record builders use.

    Args:
        values: value by canonical column name.
        shown: for every canonical name, how the user's file calls the column.
    """

    values: Mapping[str, object]
    shown: Mapping[str, str]

    def name(self, column: str) -> str:
        """Return the user's own name of a column."""
        return self.shown.get(column, column)

    def require(self, column: str) -> object:
        """Return the value of a column, or say that it is missing."""
        value = self.values.get(column)
        if value is None:
            found = "is null" if column in self.values else "is missing from this row"
            raise RowError(
                "missing value",
                f"the value {found}.",
                column=self.name(column),
                mend="Give every row a value in this column.",
            )
        return value


def kind_of(value: object) -> str:
    """Name a value's kind for an error message, in the words of JSON."""
    names = {str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    names |= {list: "a list", tuple: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")


def excerpt(text: str, length: int = 60) -> str:
    """Quote the beginning of `text` on one line."""
    line = " ".join(text.split())
    return repr(line if len(line) <= length else line[: length - 1] + "…")
