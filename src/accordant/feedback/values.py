"""Single values of a row: labels, numbers, counts, lists and strings.

Knows values alone. Knows nothing of columns, rows, files or records. Every mistake is a `RowError`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from accordant.feedback.rows import RowError, excerpt, kind_of

# Thumbs in words, as people export them.
THUMBS = {
    **dict.fromkeys(("true", "1", "+1", "good", "up", "thumbs_up", "desirable", "positive"), True),
    **dict.fromkeys(
        ("false", "0", "-1", "bad", "down", "thumbs_down", "undesirable", "negative"), False
    ),
}


def parse_label(value: object) -> bool:
    """Read a boolean, 1 or 0, 1 or -1, or a word for one of them."""
    if isinstance(value, bool | int | float) and value in (-1, 0, 1):
        return value > 0
    if isinstance(value, str) and value.strip().lower() in THUMBS:
        return THUMBS[value.strip().lower()]
    shown = value if isinstance(value, int | float) else _show(value)
    raise RowError(
        "label is not true or false",
        f"found {shown}, expected true or false (or 1 or 0).",
        "Write true for desirable and false for undesirable.",
    )


def parse_number(value: object, of: str = "") -> float:
    """Read a finite number; `of` says what it is the value of, as in `of wit `."""
    if value is None:
        raise RowError("missing value", f"the value {of}is null, expected a number.")
    # To Python true is a number.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RowError("not a number", f"the value {of}is {_show(value)}, expected a number.")
    # A whole number beyond the range of floats makes math.isfinite itself overflow.
    if not abs(value) <= sys.float_info.max:
        raise RowError(
            "not a finite number",
            f"the value {of}is {excerpt(str(value))}, expected a finite number.",
            "Leave the attribute out where there is no rating, or remove the row.",
        )
    return float(value)


def parse_count(value: object) -> int:
    """Read a number of people."""
    number = parse_number(value)
    if number < 0 or number != int(number):
        raise RowError(
            "not a count", f"the value is {value}, expected a whole number of people, 0 or more."
        )
    return int(number)


def parse_list(value: object) -> Sequence[object]:
    """Read a list."""
    if not isinstance(value, list | tuple):
        raise RowError("not a list", f"found {kind_of(value)}, expected a list.")
    return value


def parse_string(value: object, subject: str = "found") -> str:
    """Read a string that every tokenizer can read: no lone surrogates."""
    if not isinstance(value, str):
        raise RowError("content is not text", f"{subject} {kind_of(value)}, expected a string.")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RowError(
                "broken Unicode",
                f"character {error.start + 1} is half of a surrogate pair.",
                "Write the file again as UTF-8 with whole characters.",
            ) from None
    return value


def parse_answer(text: str) -> str:
    """Return an answer as it is; nothing or white space is none."""
    if not text.strip():
        blank = "only white space" if text else "empty"
        raise RowError(
            "empty completion",
            f"the completion is {blank}.",
            "Remove the row or write the answer.",
        )
    return text


def _show(value: object) -> str:
    return excerpt(value) if isinstance(value, str) else kind_of(value)
