"""The one exception a user is meant to read, and the guess at what was meant.

`UserError` is for mistakes a user can mend: the command line prints it without a traceback and
exits with code 2. Every other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable

_FEW_WORDS = 20


class UserError(Exception):
    """A mistake in the user's input, told so that it can be mended.

    Args:
        message: what was found, in one sentence.
        where: file, row, column or option it was found in; empty when there is no such place.
        mend: what to do about it, in one sentence; empty when the message says it.
    """

    def __init__(self, message: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        mend = f" {self.mend}" if self.mend else ""
        return f"{place}{self.message}{mend}"


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known word; where none is near, all of them if they are few."""
    from difflib import get_close_matches

    words = sorted(known)
    lowered = {other.lower(): other for other in words}
    close = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    if close:
        return f"Did you mean '{lowered[close[0]]}'?"
    return f"Known: {', '.join(words)}." if 0 < len(words) <= _FEW_WORDS else ""
