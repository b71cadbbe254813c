"""Which record type a table of feedback holds, told from its columns.

Knows column names, their spellings in the ecosystem, and one row's values. Knows nothing of files
or records' contents.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from accordant.base.errors import UserError, did_you_mean
from accordant.feedback.conversations import role_of
from accordant.feedback.kind import SHARED_COLUMNS, SpreadField
from accordant.feedback.kinds import KINDS, list_layouts
from accordant.feedback.layouts import LAYOUTS, PAIR

# The column that holds a field, or the columns that hold the keys of its object.
Columns = str | tuple[str, ...]

# Columns that belong to records of any kind without deciding which.
OPTIONAL = ("system", "input", "history")
# With one of these present, a column `answer` is more likely a remark than the completion.
ANSWERS = frozenset({"completion", "chosen", "rejected", "completions", "messages"})
# Other tools' names of a column, in the order they are looked for; those of one kind are its own.
ALIASES = {
    "prompt": ("question", "query", "instruction"),
    "messages": ("conversations", "conversation"),
    "completion": ("response", "answer", "output"),
}


def list_fields() -> list[str]:
    """List the fields of which records are made, each once."""
    return list(dict.fromkeys(column for _, columns in list_layouts() for column in columns))


def is_field(name: str) -> bool:
    """Tell whether records have such a field."""
    further = {detail for kind in KINDS.values() for detail in kind.details}
    further |= {column for layout in LAYOUTS for column in layout.verdict}
    return name in _all_fields() | further or any(
        kind.spread is not None and kind.spread.holds(name) for kind in KINDS.values()
    )


def _all_fields() -> set[str]:
    return {*list_fields(), *OPTIONAL, *(name for kind in KINDS.values() for name in kind.optional)}


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
    present = canonical_columns(columns, first_row).keys()
    types = candidate_types(present)
    if not types:
        raise _nothing_fits(columns, present)
    because = f"the columns are {_names(columns)}"
    if types == ["demonstration"] and "completion" in present:
        # Several numbers beside an answer are ratings as likely as not; one is often an id.
        for kind in KINDS.values():
            unsure = _unknown_numbers(columns, first_row, kind.spread) if kind.spread else []
            if len(unsure) > 1:
                types.append(kind.name)
                because = f"the columns {_names(unsure)} hold numbers"
    if len(types) > 1:
        raise UserError(
            f"the record type is ambiguous between {' and '.join(types)}: {because}.",
            mend=f"Choose with `--record-type {types[0]}` (or {', '.join(types[1:])}), or say "
            "which column holds a field with `--columns FIELD=COLUMN`.",
        )
    return types[0]


def candidate_types(present: Collection[str]) -> list[str]:
    """List the record types that fit, without those whose columns another one includes.

    Args:
        present: canonical names of the columns that are there.
    """
    fitting = [(kind, set(columns)) for kind, columns in list_layouts()]
    fitting = [(kind, needed) for kind, needed in fitting if needed <= set(present)]
    # The larger layout explains more of the columns.
    return sorted({kind for kind, a in fitting if not any(a < b for _, b in fitting)})


def require_type(
    record_type: str, columns: Collection[str], first_row: Mapping[str, object]
) -> None:
    """Check that the record type the user named exists and can be read from `columns`."""
    if record_type not in KINDS:
        raise UserError(
            f"there is no record type '{record_type}'.",
            where="--record-type",
            mend=did_you_mean(record_type, KINDS, f"Choose one of {', '.join(KINDS)}."),
        )
    names = canonical_columns(columns, first_row, record_type)
    present = {name for name, columns_of in names.items() if columns_of}
    layouts = [layout.split() for layout in KINDS[record_type].layouts]
    if not any(present.issuperset(layout) for layout in layouts):
        raise UserError(
            f"a {record_type} needs the columns {' or '.join(map(_names, layouts))}; found "
            f"{_names(columns)}.",
            where="--record-type",
            mend="Say which column holds a field with `--columns FIELD=COLUMN`.",
        )


def canonical_columns(
    columns: Collection[str], first_row: Mapping[str, object], record_type: str | None = None
) -> dict[str, Columns]:
    """Map the names the builders use to the columns that hold them.

    A column under its canonical name wins over spellings of other tools. `messages` that end on
    the user's side are a prompt.

    Args:
        columns: column names, renamed where the user asked for it.
        first_row: a value of each column.
        record_type: the kind where it is known, which may be spread over columns of any name.

    Raises:
        UserError: two columns could both be the same thing.
    """
    names: dict[str, Columns] = {field: field for field in _all_fields() if field in columns}
    for canonical, aliases in ALIASES.items():
        if canonical != "completion" or not ANSWERS & names.keys():
            _add_alias(names, canonical, aliases, columns)
    for kind in KINDS.values():
        for canonical, aliases in kind.aliases.items():
            telling = {c for a in kind.layouts for c in a.split()} - SHARED_COLUMNS - {canonical}
            if telling <= names.keys():
                _add_alias(names, canonical, aliases, columns)
    answered = not names.keys().isdisjoint(("completion", "chosen", "completions"))
    if "messages" in names and "prompt" not in names and answered:
        messages = first_row.get(str(names["messages"]))
        # LLaMA-Factory's comparisons: messages up to the user's last, answers apart.
        last = role_of(messages[-1]) if isinstance(messages, list) and messages else None
        if last in ("user", "tool"):
            names["prompt"] = names.pop("messages")
    is_read = record_type is not None and "messages" in KINDS[record_type].layouts
    if names.keys() >= PAIR and not is_read:
        # UltraFeedback repeats the chosen conversation as `messages`, to be imitated on request.
        names.pop("messages", None)
    for kind in KINDS.values():
        if kind.spread is not None and kind.spread.name not in names:
            keys = _spread_columns(kind.spread, columns, first_row)
            is_held = any(map(kind.spread.holds, keys))
            if is_held if record_type is None else kind.name == record_type:
                names[kind.spread.name] = keys
    return names


def _add_alias(
    names: dict[str, Columns], canonical: str, aliases: tuple[str, ...], columns: Collection[str]
) -> None:
    fitting = [alias for alias in aliases if alias in columns]
    if canonical in names or not fitting:
        return
    if len(fitting) > 1:
        raise UserError(
            f"the columns {_names(fitting)} could each be the {canonical}.",
            mend=f"Choose one, for example `--columns {canonical}={fitting[0]}`.",
        )
    names[canonical] = fitting[0]


def _spread_columns(
    spread: SpreadField, columns: Collection[str], first_row: Mapping[str, object]
) -> tuple[str, ...]:
    """List the columns that a field is spread over.

    Columns named `FIELD.KEY` where there are any, else those known to belong to it, else every
    column of numbers that is not an identifier.
    """
    named = [column for column in columns if column.startswith(f"{spread.name}.")]
    known = [column for column in columns if column in spread.known]
    return tuple(named or known or _unknown_numbers(columns, first_row, spread))


def _unknown_numbers(
    columns: Iterable[str], first_row: Mapping[str, object], spread: SpreadField
) -> list[str]:
    """List the columns of numbers that might belong to a field that is spread over several."""
    known = _all_fields() | spread.known | spread.foreign
    return [
        column
        for column in columns
        if type(first_row.get(column)) in (int, float)
        and column not in known
        # Identifiers, and the index that pandas writes.
        and not column.endswith(("_id", "_idx", "_index", "_index_level_0__"))
    ]


def _names(columns: Iterable[str]) -> str:
    return ", ".join(columns) or "(none)"


def _nothing_fits(columns: Collection[str], present: Collection[str]) -> UserError:
    closest = [
        f"for a {kind} '{missing.pop()}' is missing"
        for kind, columns_of in list_layouts()
        if len(missing := set(columns_of) - set(present)) == 1 < len(columns_of)
    ]
    # Of every kind the plainest layout, and conversations where they stand alone.
    known = [
        f"{kind} ({', '.join(columns_of)})"
        for kind, columns_of in list_layouts()
        if columns_of == ("messages",)
        or not {"messages", "ranks", "rewards", "scores"} & set(columns_of)
    ]
    near = f": {'; '.join(closest[:3])}" if closest else ""
    return UserError(
        f"no record type fits the columns {_names(columns)}{near}.",
        mend="Say which column holds a field, as in `--columns prompt=question`. Known: "
        f"{'; '.join(known)}.",
    )
