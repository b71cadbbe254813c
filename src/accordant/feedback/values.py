"""Single values of a row: labels, numbers, counts and lists.

Knows values and the names of their columns. Knows nothing of rows, files or records. Every mistake
is a `RowError`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from accordant.feedback.rows import RowError, excerpt, kind_of


def parse_label(value: object, column: str) -> bool:
    """Read a boolean or 0/1."""
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    shown = value if isinstance(value, int | float) else kind_of(value)
    shown = excerpt(value) if isinstance(value, str) else shown
    raise RowError(
        "label is not true or false",
        f"found {shown}, expected true or false (or 1 or 0).",
        column=column,
        mend="Write true for desirable and false for undesirable.",
    )


def parse_number(value: object, column: str, of: str = "") -> float:
    """Read a finite number."""
    if value is None:
        raise RowError("missing value", f"the value {of}is null, expected a number.", column=column)
    if isinstance(value, bool) or not isinstance(value, int | float):
        found = excerpt(value) if isinstance(value, str) else kind_of(value)
        raise RowError(
            "not a number", f"the value {of}is {found}, expected a number.", column=column
        )
    # A whole number beyond the range of floats makes math.isfinite itself overflow.
    if not abs(value) <= sys.float_info.max:
        raise RowError(
            "not a finite number",
            f"the value {of}is {excerpt(str(value))}, expected a finite number.",
            column=column,
            mend="Leave the attribute out where there is no rating, or remove the row.",
        )
    return float(value)


def parse_count(value: object, column: str) -> int:
    """Read a number of people."""
    number = parse_number(value, column)
    if number < 0 or number != int(number):
        raise RowError(
            "not a count",
            f"the value is {value}, expected a whole number of people, 0 or more.",
            column=column,
        )
    return int(number)


def parse_list(value: object, column: str) -> Sequence[object]:
    """Read a list."""
    if not isinstance(value, list | tuple):
        raise RowError("not a list", f"found {kind_of(value)}, expected a list.", column=column)
    return value
