"""A table of annotations: who rated what how, which groups people belong to, one value per item.

Knows the columns of the table. Knows nothing of agreement. Annotators, items and groups become
numbers and names that `statistics.groups` works on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from accordant.base.errors import UserError, nearest
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.passes import Pass
from accordant.checks.tables import TableRow, read_table
from accordant.statistics.crossed import Ratings

if TYPE_CHECKING:
    from accordant.statistics.arrays import Floats

REQUIRED = ("item", "annotator", "rating")
TARGETS = ("label", "prediction")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Annotations:
    """What a table of annotations says.

    Args:
        ratings: who rated what how; numbers stand for places in `items` and `annotators`.
        items: names.
        annotators: names.
        targets: `label`, `prediction` or both: a number of every item, float64 `[items]`, NaN
            where the table gives none.
        axes: by column, the group of every annotator; None where it is not known.
    """

    ratings: Ratings
    items: tuple[str, ...]
    annotators: tuple[str, ...]
    targets: Mapping[str, Floats]
    axes: Mapping[str, tuple[str | None, ...]]


def read_annotations(path: str, axes: Sequence[str] = ()) -> Annotations:
    """Read a JSONL, JSON, CSV or Parquet table with a row for every rating.

    Columns: `item`, `annotator` and `rating` (a number), `label` or `prediction` or both (a number,
    the same in every row of an item; the label is what a data set says, the prediction what a model
    does), and properties of the annotators, such as their country. Someone who rates an item twice
    counts twice. An empty cell of a property means that it is not known.

    Args:
        path: of the file.
        axes: columns that are properties of the annotators; all further columns when empty.

    Raises:
        UserError: something is missing or contradicts itself; names file, row and column.
    """
    rows = read_table(path, REQUIRED)
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    targets = [name for name in TARGETS if any(row.has(name) for row in rows)]
    if not targets:
        raise UserError(
            "the table has neither labels nor predictions to agree with.",
            where=path,
            mend="Add a column `label` or `prediction` with a number for every item.",
        )
    chosen = _axes_of(path, columns, axes)
    items, people = (
        {name: place for place, name in enumerate(dict.fromkeys(row.text(column) for row in rows))}
        for column in ("item", "annotator")
    )
    ratings = Ratings(
        np.array([items[row.text("item")] for row in rows]),
        np.array([people[row.text("annotator")] for row in rows]),
        np.array([row.number("rating") for row in rows]),
    )
    numbers = {name: _numbers_of(rows, name) for name in targets}
    groups = {name: _groups_of(rows, name) for name in chosen}
    return Annotations(
        ratings,
        tuple(items),
        tuple(people),
        {name: np.array([of.get(item, np.nan) for item in items]) for name, of in numbers.items()},
        {name: tuple(of.get(person) for person in people) for name, of in groups.items()},
    )


def _axes_of(path: str, columns: Sequence[str], wanted: Sequence[str]) -> list[str]:
    further = [name for name in columns if name not in (*REQUIRED, *TARGETS)]
    for name in wanted:
        if name not in further:
            raise UserError(
                f"there is no column '{name}' with a property of the annotators.",
                where=path,
                mend=nearest(name, further),
            )
    if not further:
        raise UserError(
            f"the table says nothing of the annotators; its columns are {', '.join(columns)}.",
            where=path,
            mend="Add a column for each property, such as their country or age group.",
        )
    return list(wanted) or further


def _numbers_of(rows: Sequence[TableRow], column: str) -> dict[str, float]:
    """Read a number of every item that has one."""
    cells = ((row.text("item"), row, row.number(column)) for row in rows if row.has(column))
    clash = "item '{}' has the value {:g} here and {:g} in row {}."
    return _once(cells, column, clash, "Give an item the same value in all its rows.")


def _groups_of(rows: Sequence[TableRow], column: str) -> dict[str, str]:
    """Read the group of every annotator of whom it is known."""
    cells = ((row.text("annotator"), row, row.text(column)) for row in rows if row.has(column))
    mend = (
        "If the column is no property of the annotators, name those that are: "
        "`--option positionality.axes=COLUMN,COLUMN`."
    )
    return _once(cells, column, "annotator '{}' is '{}' here and '{}' in row {}.", mend)


def _once(
    cells: Iterable[tuple[str, TableRow, Value]], column: str, clash: str, mend: str
) -> dict[str, Value]:
    """Return the value of every name, which all of its rows must agree on."""
    first: dict[str, tuple[TableRow, Value]] = {}
    for name, row, value in cells:
        # The first row that says it is named in the error, beside the one that differs.
        earlier, known = first.setdefault(name, (row, value))
        if known != value:
            raise row.error(clash.format(name, value, known, earlier.origin.row), column, mend)
    return {name: value for name, (_, value) in first.items()}


def _read(_: CheckInputs, *, annotations: str = "", axes: str = "") -> Annotations:
    """Read who rated what how.

    Args:
        annotations: table with the columns item, annotator, rating, and label or prediction (or
            both); every further column is a property of the annotators.
        axes: columns that are properties, separated by commas; empty for all further columns.
    """
    if not annotations:
        raise NotApplicableError(
            "it needs ratings by people whose groups are known "
            "(`--option positionality.annotations=FILE`)"
        )
    # An option of the command line is one text.
    names = [name.strip() for name in axes.split(",") if name.strip()]
    return read_annotations(annotations, names)


ANNOTATIONS = Pass("annotations", _read)
