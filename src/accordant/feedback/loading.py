"""Feedback from a file, a folder or a hub id: read, recognised, validated, as frozen records.

Knows sources, columns and records. Knows nothing of tokens or models: every row is checked before
any model is loaded. Nothing is dropped without being counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, cast

from accordant.base.errors import UserError
from accordant.feedback.columns import ColumnNames, read_column_names
from accordant.feedback.files import as_row
from accordant.feedback.kinds import KINDS, kind_of_record, prompts_of
from accordant.feedback.layouts import Layout, find_layout
from accordant.feedback.recognition import (
    Columns,
    candidate_types,
    canonical_columns,
    recognise,
    require_type,
)
from accordant.feedback.records import Origin, Record
from accordant.feedback.rows import TIE, BadRow, RawRow, Row, RowError
from accordant.feedback.sources import read_rows

# Where rows and records come from that no file holds.
IN_MEMORY = "memory"
# Columns of TRL's that a chat template would write into the prompt.
UNREAD = ("tools", "chat_template_kwargs")
# Rows looked at to recognise the columns; the rest streams by.
HEAD_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Feedback:
    """Validated records of one type.

    Args:
        records: in the order of the source; a conversation with several assistant turns gives one
            demonstration for each.
        record_type: a name of `feedback.kinds`.
        source: file, folder or hub id.
        skipped: rows left out by `on_bad_row="skip"`, with reasons.
        rows: rows read, skipped ones included.
        ignored: columns that no record holds.
    """

    records: tuple[Record, ...]
    record_type: str
    source: str
    skipped: tuple[BadRow, ...] = ()
    rows: int = 0
    ignored: tuple[str, ...] = ()

    def describe_skipped(self, examples: int = 3) -> list[str]:
        """Say how many rows were skipped and why, with the first `examples` of every reason.

        Returns:
            printable lines; empty when nothing was skipped.
        """
        if not self.skipped:
            return []
        lines = [f"Skipped {len(self.skipped):,} of {self.rows:,} rows of {self.source}:"]
        for reason, count in Counter(bad.reason for bad in self.skipped).most_common():
            lines.append(f"  {count:,} x {reason}")
            rows = (bad for bad in self.skipped if bad.reason == reason)
            lines += [f"    {bad.where}: {bad.message}" for bad in islice(rows, examples)]
            if count > examples:
                lines.append(f"    ... and {count - examples:,} more")
        return lines


# Rows at hand instead of a file's: a mapping per row, as a JSONL file holds, or records.
Rows = Sequence[Mapping[str, object] | Record]


def load_feedback(
    source: str | Path | Rows | Feedback,
    *,
    split: str | None = None,
    record_type: str | None = None,
    columns: Mapping[str, str] | None = None,
    on_bad_row: Literal["error", "skip"] = "error",
    limit: int | None = None,
    subset: str | None = None,
) -> Feedback:
    """Read and validate feedback.

    Args:
        source: JSONL, JSON, CSV or Parquet file (JSONL, JSON and CSV also gzipped), a folder of
            them, a folder written by `datasets`, or a hub id. A path that exists wins. Or what is
            at hand: rows as mappings, records, or feedback, which is returned as it is.
        split: `train`, `test` or `validation`; None takes `train`, or the only one.
        record_type: a name of `feedback.kinds`; None recognises it from the columns.
        columns: which column holds a field, `{"prompt": "question"}`, before anything else.
        on_bad_row: `error` raises for the first bad row, `skip` leaves bad rows out and returns
            them in `Feedback.skipped`.
        limit: rows to read at most.
        subset: configuration of a hub data set, or sub-folder.

    Raises:
        UserError: a source, split, column or row at fault; names file, row and column.
    """
    if limit is not None and limit < 1:
        raise UserError(f"found {limit}, expected at least 1.", where="--limit")
    if isinstance(source, Feedback):
        return source
    names = read_column_names(columns or {})
    raw: Iterator[RawRow | BadRow]
    if isinstance(source, str | Path):
        source = str(source)
        raw = read_rows(source, split, subset, names.visible)
    elif source and {type(row) for row in source} <= {kind.record for kind in KINDS.values()}:
        return _as_feedback(cast("Sequence[Record]", source[:limit]))
    else:
        raw = (as_row(row, Origin(IN_MEMORY, n), names.visible) for n, row in enumerate(source, 1))
        source = IN_MEMORY
    raw = islice(raw, limit)
    head = list(islice(raw, HEAD_ROWS))
    # Before kinds are told: layouts have columns that mean something else to them, as `labels`.
    if (layout := find_layout(_first_values(head))) is not None:
        raw = layout.rewrite(chain(head, raw))
        head = list(islice(raw, HEAD_ROWS))
    bad = [row for row in head if isinstance(row, BadRow)]
    if len(bad) == len(head):
        _raise_first(bad)
        raise _nothing_left(source, bad)
    plan = _plan(head, source, record_type, names, layout)
    outcomes = list(_build_rows(chain(head, raw), plan))
    bad = [outcome for outcome in outcomes if isinstance(outcome, BadRow)]
    if on_bad_row == "error":
        _raise_first(bad)
    records = tuple(record for built in outcomes if isinstance(built, tuple) for record in built)
    if not records:
        raise _nothing_left(source, bad)
    return Feedback(records, plan.record_type, source, tuple(bad), len(outcomes), plan.ignored)


def _as_feedback(records: Sequence[Record]) -> Feedback:
    """Make feedback of records, which are valid by their making.

    Raises:
        UserError: they are of several kinds.
    """
    kinds = sorted({kind_of_record(record).name for record in records})
    if len(kinds) > 1:
        raise UserError(
            f"found {' and '.join(kinds)} records, expected one kind.",
            where=IN_MEMORY,
            mend="Give them one after the other.",
        )
    placed = tuple(
        record if record.origin else replace(cast("Any", record), origin=Origin(IN_MEMORY, number))
        for number, record in enumerate(records, 1)
    )
    return Feedback(placed, kinds[0], IN_MEMORY, rows=len(records))


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to read rows.

    Args:
        record_type: name of the kind.
        names: columns by canonical name, as they are called after renaming.
        shown: what the user's file calls a canonical name, empty for one over several columns, and
            what it calls each of those.
        ignored: the user's columns that nothing is read from.
    """

    record_type: str
    names: Mapping[str, Columns]
    shown: Mapping[str, str]
    ignored: tuple[str, ...]


def _first_values(rows: Iterable[RawRow | BadRow]) -> dict[str, object]:
    """Give the first value of every column that is not null, null where all are."""
    firsts: dict[str, object] = {}
    for row in rows:
        values = row.values if isinstance(row, RawRow) else {}
        firsts |= {name: v for name, v in values.items() if firsts.get(name) is None}
    return firsts


def _plan(
    head: Sequence[RawRow | BadRow],
    source: str,
    asked: str | None,
    columns: ColumnNames,
    layout: Layout | None,
) -> _Plan:
    rows = [row for row in head if isinstance(row, RawRow)]
    firsts = _first_values(rows)
    columns.check_exist(firsts.keys() | (layout.columns if layout else set()))
    try:
        record_type, present = _choose_type(rows, firsts, asked)
        names = canonical_columns(present, firsts, record_type)
    except UserError as error:
        raise error.at(source) from None
    # Of all columns, also of those that most rows lack: details may be missing from a row.
    names |= KINDS[record_type].find_details(list(firsts), firsts)
    fields = {name: c if isinstance(c, str) else "" for name, c in names.items()}
    fields |= {key: key for c in names.values() if isinstance(c, tuple) for key in c}
    shown = {name: columns.theirs(column) for name, column in fields.items()}
    shown |= layout.shown if layout else {}
    unused = (columns.theirs(column) for column in firsts if column not in fields.values())
    return _Plan(record_type, names, shown, tuple(unused))


def _choose_type(
    rows: Sequence[RawRow], firsts: Mapping[str, object], record_type: str | None
) -> tuple[str, list[str]]:
    """Take the type asked for, else recognise it from columns most rows have, else from all.

    Returns:
        record type, and the columns it was told from.
    """
    if record_type is not None:
        require_type(record_type, list(firsts), firsts)
        return record_type, list(firsts)
    counts = Counter(n for row in rows for n, value in row.values.items() if value is not None)
    # A single odd row must not change what the other rows are: it will be a bad row.
    for least in (len(rows) / 2, 1):
        present = [name for name in firsts if counts[name] >= least]
        if candidate_types(canonical_columns(present, firsts)):
            return recognise(present, firsts), present
    return recognise(list(firsts), firsts), list(firsts)


def _build_rows(
    rows: Iterable[RawRow | BadRow], plan: _Plan
) -> Iterator[tuple[Record, ...] | BadRow]:
    build = KINDS[plan.record_type].build
    names = {True: "conversational (lists of messages)", False: "plain text"}
    earlier: bool | None = None
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            _check_unread(row)
            records = build(_canonical(row, plan), row.origin)
            form = is_conversational(records[0])
            if earlier not in (None, form):
                raise RowError(
                    "mixed plain and conversational",
                    f"the row is {names[form]}, but the rows before it are {names[not form]}.",
                    "Write all rows in one way.",
                )
            earlier = form
            yield records
        except RowError as error:
            yield BadRow.of(row.origin, error)


def _check_unread(row: RawRow) -> None:
    """Refuse columns that change what the model would read, where a row makes use of them."""
    for column in UNREAD:
        if row.values.get(column):
            raise RowError(
                "unsupported column",
                "what stands there would not reach the model.",
                "Write it into the prompt as the model should read it, or leave the column out.",
                column,
            )


def _canonical(row: RawRow, plan: _Plan) -> Row:
    values: dict[str, object] = {}
    for name, columns in plan.names.items():
        if isinstance(columns, tuple):
            values[name] = {column: row.values.get(column) for column in columns}
        elif columns in row.values:
            values[name] = row.values[columns]
    return Row(values, plan.shown)


def is_conversational(record: Record) -> bool:
    """Tell whether a record's texts are lists of messages."""
    return not isinstance(prompts_of(record)[0], str)


def _raise_first(bad: Sequence[BadRow]) -> None:
    """Raise the first bad row that is more than a tie, saying how many follow."""
    faults = [row for row in bad if row.reason != TIE]
    if faults:
        raise faults[0].as_error(len(faults) - 1)


def _nothing_left(source: str, bad: Sequence[BadRow]) -> UserError:
    if not bad:
        return UserError("there are no rows.", where=source, mend="Give at least one row.")
    return UserError(
        f"all {len(bad):,} rows are bad; the first: {bad[0].message}",
        where=bad[0].where,
        mend=bad[0].mend,
    )
