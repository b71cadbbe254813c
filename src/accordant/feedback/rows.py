"""Rows on their way from a file to a record, and what is wrong with them.

Knows row values, column names and places. Knows nothing of files, record types or tokens. What
reads a value raises `RowError` without a place: the row adds the column, the loader file and row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TypeVar

from accordant.base.errors import UserError
from accordant.feedback.records import Origin

T = TypeVar("T")

TIE = "tie"
"""Reason of rows that are sound and prefer nothing: left out and counted, never an error."""


@dataclass(eq=False)  # Equality without a hash would break how Python chains exceptions.
class RowError(Exception):
    """What is wrong with one row, in the fields of `BadRow`; `Row.at` fills the column in."""

    reason: str
    message: str
    mend: str = ""
    column: str = ""


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
        reason: kind of mistake in a few words, the same for all rows that make it.
        message: what was found and what was expected.
        mend: what to do about it.
        column: the column at fault, as the user's file calls it; empty where the whole row is.
    """

    origin: Origin
    reason: str
    message: str
    mend: str = ""
    column: str = ""

    @property
    def where(self) -> str:
        """File, row and column in one line."""
        return f"{self.origin}, column '{self.column}'" if self.column else str(self.origin)

    @classmethod
    def of(cls, origin: Origin, error: RowError) -> BadRow:
        """Give an error its place."""
        # The texts alone: a kept exception would keep its frames, and so the whole file, alive.
        return cls(origin, *astuple(error))

    def as_error(self, further: int) -> UserError:
        """Return the error for this row, mentioning that `further` rows are bad as well."""
        verb = "row follows" if further == 1 else "rows follow"
        also = f"{further:,} more bad {verb}; " if further else ""
        skip = f"({also}`--on-bad-row skip` leaves bad rows out and counts them.)"
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

    def has(self, column: str) -> bool:
        """Tell whether the row has a value in a column."""
        return self.values.get(column) is not None

    @contextmanager
    def at(self, column: str) -> Iterator[None]:
        """Name `column` in errors from inside the block that name none."""
        try:
            yield
        except RowError as error:
            error.column = error.column or self.name(column)
            raise

    def read(self, column: str, parse: Callable[[object], T]) -> T:
        """Return what `parse` makes of the value of a column; errors name the column."""
        with self.at(column):
            return parse(self.require(column))

    def require(self, column: str) -> object:
        """Return the value of a column, or say that it is missing."""
        value = self.values.get(column)
        if value is None:
            problem = "is null" if column in self.values else "is missing from this row"
            raise RowError(
                "missing value",
                f"the value {problem}.",
                "Give every row a value in this column.",
                self.name(column),
            )
        return value


def kind_of(value: object) -> str:
    """Name a value's kind for an error message, in the words of JSON."""
    # By exact type: True is an int to `isinstance`.
    names = {str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    names |= {list: "a list", tuple: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")


def excerpt(text: str, length: int = 60) -> str:
    """Quote the beginning of `text` on one line."""
    line = " ".join(text.split())
    return repr(line if len(line) <= length else line[: length - 1] + "…")
