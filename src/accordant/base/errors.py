"""The one exception a user is meant to read, and the guess at what was meant.

`UserError` is for mistakes a user can mend: the command line prints it without a traceback and
exits with code 2. Every other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable

_FEW_WORDS = 20  # a longer list nobody reads through


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

    def at(self, place: str) -> UserError:
        """Return the same error with a place around it that was not known where it was raised."""
        return UserError(
            self.message, where=", ".join(filter(None, (place, self.where))), mend=self.mend
        )


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return a question with the nearest known word where one is near, and then `otherwise`."""
    from difflib import get_close_matches

    # A hyphen for an underscore is the commonest slip of all, and no difference to anybody.
    plain = {other.lower().replace("-", "_"): other for other in known}
    close = get_close_matches(word.lower().replace("-", "_"), plain, n=1, cutoff=0.6)
    question = [f"Did you mean '{plain[close[0]]}'?"] if close else []
    return " ".join([*question, *filter(None, [otherwise])])


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the nearest known word as a question; where none is near, all if they are few."""
    words = sorted(known)
    every = f"Known: {', '.join(words)}." if 0 < len(words) <= _FEW_WORDS else ""
    return did_you_mean(word, words) or every
