"""Which column holds which field, where the user says so.

Knows names alone. Knows nothing of rows' values, files or record types.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from accordant.base.errors import UserError, did_you_mean
from accordant.feedback.recognition import is_field, list_fields

REPLACED = " (replaced)"


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The user's names of columns, and the names of the fields they hold.

    Args:
        fields: field by column, for the columns the user named.
    """

    fields: Mapping[str, str]

    def visible(self, column: str) -> str:
        """Return what a column goes by after renaming; one that is replaced stands aside."""
        if column in self.fields:
            return self.fields[column]
        return column + REPLACED if column in self.fields.values() else column

    def theirs(self, visible: str) -> str:
        """Return the name of a column in the user's file."""
        columns = {field: column for column, field in self.fields.items()}
        # Errors must name what stands in the file, not what it was taken for.
        return columns.get(visible, visible.removesuffix(REPLACED))

    def check_exist(self, present: Collection[str]) -> None:
        """Require that the columns the user named are among those `present`, by visible name.

        Raises:
            UserError: one is not.
        """
        for column, field in self.fields.items():
            if field not in present:
                columns = sorted(map(self.theirs, present))
                write = "Write FIELD=COLUMN with a column of the data on the right."
                raise UserError(
                    f"there is no column '{column}' to be the {field}; found {', '.join(columns)}.",
                    where="--columns",
                    mend=did_you_mean(column, columns, write),
                )


def read_column_names(columns: Mapping[str, str]) -> ColumnNames:
    """Read `{field: column}`; a pair the other way round is understood where only one is a field.

    Raises:
        UserError: a pair without a field, or two pairs for one field or one column.
    """
    fields: dict[str, str] = {}
    for left, right in columns.items():
        if not is_field(left) and not is_field(right):
            write = "Write FIELD=COLUMN, such as `--columns prompt=question`; fields are "
            raise UserError(
                f"neither '{left}' nor '{right}' is a field of a record.",
                where="--columns",
                mend=did_you_mean(left, list_fields(), f"{write}{', '.join(list_fields())}."),
            )
        field, column = (left, right) if is_field(left) else (right, left)
        if column in fields or field in fields.values():
            raise UserError(
                f"'{column}' or '{field}' is named twice.",
                where="--columns",
                mend="Give every field one column of its own.",
            )
        fields[column] = field
    return ColumnNames(fields)
