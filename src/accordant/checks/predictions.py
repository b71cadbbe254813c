"""A table of predictions: what a weak model, and a strong one it supervised, say of every item.

Knows the columns of the table. Knows nothing of what the predictions mean.
"""

from __future__ import annotations

from typing import NamedTuple

from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.passes import Pass
from accordant.checks.tables import TableRow, read_table
from accordant.feedback.records import Origin

COLUMNS = ("item", "weak", "strong_a", "strong_ab")


class PredictedItem(NamedTuple):
    """Probabilities of the right answer, and where they were read."""

    weak: float
    alone: float
    conflict: float
    name: str
    origin: Origin


def _read(_: CheckInputs, *, predictions: str = "") -> list[PredictedItem]:
    """Read the probabilities of every item.

    Args:
        predictions: table with the columns item, weak, strong_a, strong_ab: the probability that
            the weak model, the strong model under the target alone, and the strong model with the
            conflict give to the right answer; with a further column label (0 or 1), to label 1.
    """
    if not predictions:
        raise NotApplicableError(
            "it needs the predictions of a weak model and of the strong one it supervised "
            "(`--option weak-to-strong.predictions=FILE`)"
        )
    items: dict[str, PredictedItem] = {}
    for row in read_table(predictions, COLUMNS):
        name = row.text("item")
        if name in items:
            raise row.error(
                f"the item '{name}' stands in row {items[name].origin.row} already.",
                "item",
                "Give every item one row.",
            )
        right = _label(row)
        # Turned once here, so that nobody after this needs to know the label.
        weak, alone, conflict = (_probability(row, column, right) for column in COLUMNS[1:])
        items[name] = PredictedItem(weak, alone, conflict, name, row.origin)
    return list(items.values())


def _label(row: TableRow) -> bool:
    """Tell whether label 1 is right; it is where the table names no label."""
    # Without labels the table gives the probabilities of what is right already.
    label = row.number("label") if "label" in row.values else 1
    if label not in (0, 1):
        raise row.error(f"found {label:g}, expected the label 0 or 1.", "label")
    return label == 1


def _probability(row: TableRow, column: str, right: bool) -> float:
    """Read the probability of the right answer, from that of label 1."""
    value = row.number(column)
    if not 0 <= value <= 1:
        raise row.error(f"found {value:g}, expected a probability from 0 to 1.", column)
    return value if right else 1 - value


PREDICTIONS = Pass("predictions", _read)
