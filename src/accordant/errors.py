"""The one exception a user is meant to read.

`UserError` is for mistakes a user can mend: the command line prints it without a traceback and exits
with code 2. Every other exception is a bug and keeps its traceback.
"""

from __future__ import annotations


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
