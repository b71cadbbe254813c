"""Which record type a table of feedback holds, told from its columns.

Knows column names, their spellings in the ecosystem, and one row's values. Knows nothing of files
or records' contents.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping

from accordant.base.errors import UserError
from accordant.feedback.conversations import ROLES
from accordant.feedback.kind import SHARED_COLUMNS, SpreadField
from accordant.feedback.kinds import KINDS, list_layouts

# Columns that belong to records of any kind without deciding which.
OPTIONAL = ("system", "input", "history")
ALIASES = {
    "prompt": ("question", "query", "instruction"),
    "messages": ("conversations", "conversation"),
}
COMPLETION_ALIASES = ("response", "answer", "output")
# With one of these present, a column `answer` is more likely a remark than the completion.
ANSWERS = ("completion", "chosen", "rejected", "completions", "messages")


def list_fields() -> list[str]:
    """List the fields of which records are made, each once."""
    return list(dict.fromkeys(c for layout in list_layouts() for c in layout.columns))


def is_field(name: str) -> bool:
    """Tell whether records have such a field."""
    return name in (*_all_fields(), *_details()) or any(s.holds(name) for s in _spreads())


def _all_fields() -> list[str]:
    further = (name for kind in KINDS.values() for name in kind.optional)
    return [*list_fields(), *OPTIONAL, *further]


def _details() -> Iterator[str]:
    return (name for kind in KINDS.values() for name in kind.details)


def _spreads() -> Iterator[SpreadField]:
    return (kind.spread for kind in KINDS.values() if kind.spread is not None)


def recognise(columns: Collection[str], first_row: Mapping[str, object]) -> str:
    """Name the record type that `columns` hold.

    Args:
        columns: column names, renamed where the user asked for it.
        first_row: a value of each column, to tell numeric attributes and where a list of messages
            ends; columns may be missing from it.

    Returns:
        a name of a kind.

    Raises:
        UserError: no record type fits, or several do and none includes the others.
    """
    present = frozenset(canonical_columns(columns, first_row))
    types = candidate_types(columns, first_row)
    if types == ["demonstration"] and "completion" in present:
        for kind in KINDS.values():
            unsure = _unknown_numbers(columns, first_row, kind.spread)
            if len(unsure) > 1:
                raise _ambiguous([*types, kind.name], f"the columns {_names(unsure)} hold numbers")
    if not types:
        raise _nothing_fits(columns, present)
    if len(types) > 1:
        raise _ambiguous(types, f"the columns are {_names(columns)}")
    return types[0]


def candidate_types(columns: Collection[str], first_row: Mapping[str, object]) -> list[str]:
    """List the record types that fit, without those whose columns another one includes."""
    present = frozenset(canonical_columns(columns, first_row))
    fitting = [(layout.record_type, set(layout.columns)) for layout in list_layouts()]
    fitting = [(name, needed) for name, needed in fitting if needed <= present]
    # The larger layout explains more of the columns.
    return sorted({name for name, a in fitting if not any(a < b for _, b in fitting)})


def require_type(
    record_type: str, columns: Collection[str], first_row: Mapping[str, object]
) -> None:
    """Check that the record type the user named exists and can be read from `columns`."""
    if record_type not in KINDS:
        near = difflib.get_close_matches(record_type, KINDS, 1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise UserError(
            f"there is no record type '{record_type}'.",
            where="--record-type",
            mend=f"{hint}Choose one of {', '.join(KINDS)}.",
        )
    present = frozenset(canonical_columns(columns, first_row))
    spread = KINDS[record_type].spread
    if spread is not None and spread_columns(spread, columns, first_row):
        present |= {spread.name}
    layouts = [layout for layout in list_layouts() if layout.record_type == record_type]
    if not any(present.issuperset(layout.columns) for layout in layouts):
        options = " or ".join(_names(layout.columns) for layout in layouts)
        raise UserError(
            f"a {record_type} needs the columns {options}; found {_names(columns)}.",
            where="--record-type",
            mend="Say which column holds a field with `--columns FIELD=COLUMN`.",
        )


def canonical_columns(columns: Collection[str], first_row: Mapping[str, object]) -> dict[str, str]:
    """Map the names the builders use to the columns that hold them.

    A column under its canonical name wins over spellings of other tools. `messages` that end on
    the user's side are a prompt. A field that is spread over several columns has the empty name.

    Raises:
        UserError: two columns could both be the same thing.
    """
    names = {field: field for field in _all_fields() if field in columns}
    for canonical, aliases in ALIASES.items():
        if canonical not in names:
            _add_alias(names, canonical, aliases, columns)
    if not any(answer in names for answer in ANSWERS):
        _add_alias(names, "completion", COMPLETION_ALIASES, columns)
    for kind in KINDS.values():
        for canonical, aliases in kind.aliases.items():
            others = {c for a in kind.layouts for c in a.split()} - SHARED_COLUMNS - {canonical}
            if canonical not in names and others <= names.keys():
                _add_alias(names, canonical, aliases, columns)
    answered = any(name in names for name in ("completion", "chosen", "completions"))
    if "messages" in names and "prompt" not in names and answered:
        last = _last_role(first_row.get(names["messages"]))
        if last in ("user", "tool"):
            names["prompt"] = names.pop("messages")
    for spread in _spreads():
        if spread.name not in names and any(map(spread.holds, columns)):
            names[spread.name] = ""
    return names


def _add_alias(
    names: dict[str, str], canonical: str, aliases: tuple[str, ...], columns: Collection[str]
) -> None:
    fitting = [alias for alias in aliases if alias in columns]
    if len(fitting) > 1:
        raise UserError(
            f"the columns {_names(fitting)} could each be the {canonical}.",
            mend=f"Choose one, for example `--columns {canonical}={fitting[0]}`.",
        )
    if fitting:
        names[canonical] = fitting[0]


def spread_columns(
    spread: SpreadField, columns: Iterable[str], first_row: Mapping[str, object]
) -> list[str]:
    """List the columns that a field is spread over.

    Columns named `FIELD.KEY` where there are any, else those known to belong to it, else every
    column of numbers that is not an identifier.
    """
    columns = list(columns)
    named = [c for c in columns if c.startswith(f"{spread.name}.")]
    known = [c for c in columns if c in spread.known]
    return named or known or _unknown_numbers(columns, first_row, spread)


def _unknown_numbers(
    columns: Iterable[str], first_row: Mapping[str, object], spread: SpreadField | None
) -> list[str]:
    """List the columns of numbers that might belong to a field that is spread over several."""
    if spread is None:
        return []
    known = {*_all_fields(), *spread.known, *spread.foreign}
    return [
        column
        for column in columns
        if type(first_row.get(column)) in (int, float)
        and column not in known
        and not column.endswith(("_id", "_idx", "_index", "_index_level_0__"))
    ]


def _last_role(value: object) -> str | None:
    if not isinstance(value, list) or not value or not isinstance(value[-1], dict):
        return None
    role = value[-1].get("role", value[-1].get("from"))
    return ROLES.get(role) if isinstance(role, str) else None


def _names(columns: Iterable[str]) -> str:
    return ", ".join(columns) or "(none)"


def _ambiguous(types: list[str], because: str) -> UserError:
    return UserError(
        f"the record type is ambiguous between {' and '.join(types)}: {because}.",
        mend=f"Choose with `--record-type {types[0]}` (or {', '.join(types[1:])}), or say "
        "which column holds a field with `--columns FIELD=COLUMN`.",
    )


def _nothing_fits(columns: Collection[str], present: frozenset[str]) -> UserError:
    layouts = list_layouts()
    near = [(a.record_type, set(a.columns) - present, set(a.columns) & present) for a in layouts]
    closest = "; ".join(
        f"for a {record_type} '{missing.pop()}' is missing"
        for record_type, missing, there in [n for n in near if len(n[1]) == 1 and n[2]][:3]
    )
    # Of every kind the plainest layout, and conversations where they stand alone.
    common = [a for a in layouts if not {"ranks", "rewards", "scores"} & set(a.columns)]
    common = [a for a in common if "messages" not in a.columns or len(a.columns) == 1]
    return UserError(
        f"no record type fits the columns {_names(columns)}{': ' + closest if closest else ''}.",
        mend="Say which column holds a field, as in `--columns prompt=question`. Known: "
        f"{'; '.join(map(str, common))}.",
    )
