"""Feedback from a file, a folder or a hub id: read, recognised, validated, as frozen records.

Knows sources, columns and records. Knows nothing of tokens or models: every row is checked before
any model is loaded. Nothing is dropped without being counted.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from accordant.base.errors import UserError
from accordant.feedback.columns import ColumnNames, check_columns_exist, read_column_names
from accordant.feedback.files import as_row
from accordant.feedback.kinds import KINDS, kind_of_record, prompts_of
from accordant.feedback.recognition import (
    candidate_types,
    canonical_columns,
    recognise,
    require_type,
    spread_columns,
)
from accordant.feedback.records import Origin, Record
from accordant.feedback.rows import BadRow, RawRow, Row, RowError
from accordant.feedback.sources import read_rows

__all__ = ["BadRow", "Feedback", "is_conversational", "load_feedback", "recognise"]

# Where rows and records come from that no file holds.
IN_MEMORY = "memory"
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
            rows = [bad for bad in self.skipped if bad.reason == reason]
            lines += [f"    {bad.where}: {bad.message}" for bad in rows[:examples]]
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
    classes = {kind.record for kind in KINDS.values()}
    if isinstance(source, str | Path):
        source = str(source)
        raw = read_rows(source, split, subset, names.visible)
    elif source and all(type(row) in classes for row in source):
        return _as_feedback(cast("Sequence[Record]", source[:limit]))
    else:
        raw = _rows_in_memory(source, names)
        source = IN_MEMORY
    raw = itertools.islice(raw, limit)
    head = list(itertools.islice(raw, HEAD_ROWS))
    plan = _plan(source, head, record_type, names)
    records: list[Record] = []
    bad: list[BadRow] = []
    rows = 0
    for outcome in _build_rows(itertools.chain(head, raw), plan):
        rows += 1
        if isinstance(outcome, BadRow):
            bad.append(outcome)
        else:
            records += outcome
    if bad and on_bad_row == "error":
        raise bad[0].as_error(len(bad) - 1)
    if not records:
        raise _nothing_left(source, bad)
    return Feedback(tuple(records), plan.record_type, source, tuple(bad), rows, plan.ignored)


def _rows_in_memory(
    rows: Sequence[Mapping[str, object] | Record], names: ColumnNames
) -> Iterator[RawRow | BadRow]:
    """Yield rows that no file holds as a file's would be, counted from 1."""
    for number, row in enumerate(rows, 1):
        yield as_row(row, Origin(IN_MEMORY, number), names.visible)


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
    named = tuple(
        record if record.origin else replace(cast("Any", record), origin=Origin(IN_MEMORY, number))
        for number, record in enumerate(records, 1)
    )
    return Feedback(named, kinds[0], IN_MEMORY, rows=len(records))


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to read rows: canonical name to column, and columns that are keys of one field."""

    record_type: str
    names: Mapping[str, str]
    spread: Mapping[str, tuple[str, ...]]
    shown: Mapping[str, str]
    ignored: tuple[str, ...]


def _plan(
    source: str, head: list[RawRow | BadRow], record_type: str | None, columns: ColumnNames
) -> _Plan:
    rows = [row for row in head if isinstance(row, RawRow)]
    if not rows:
        bad = [row for row in head if isinstance(row, BadRow)]
        raise bad[0].as_error(len(bad) - 1) if bad else _nothing_left(source, [])
    firsts = _first_values(rows)
    check_columns_exist(columns, firsts)
    try:
        record_type, present = _choose_type(rows, firsts, record_type)
        names = canonical_columns(present, firsts)
    except UserError as error:
        where = ", ".join(filter(None, (source, error.where)))
        raise UserError(error.message, where=where, mend=error.mend) from None
    kind = KINDS[record_type]
    names |= kind.find_details(list(firsts), firsts)
    spread: dict[str, tuple[str, ...]] = {}
    if kind.spread is not None and not names.get(kind.spread.name):
        # The field has no column of its own, which builders tell by its empty name.
        names[kind.spread.name] = ""
        spread[kind.spread.name] = tuple(spread_columns(kind.spread, present, firsts))
    keys = [column for columns_of in spread.values() for column in columns_of]
    shown = {name: columns.theirs(column) for name, column in names.items()}
    shown |= {column: columns.theirs(column) for column in keys}
    used = {*names.values(), *keys}
    ignored = tuple(columns.theirs(column) for column in firsts if column not in used)
    return _Plan(record_type, names, spread, shown, ignored)


def _first_values(rows: list[RawRow]) -> dict[str, object]:
    """Give the first value of every column that is not null, null where all are."""
    firsts: dict[str, object] = {}
    for row in rows:
        for name, value in row.values.items():
            if firsts.get(name) is None:
                firsts[name] = value
    return firsts


def _choose_type(
    rows: list[RawRow], firsts: Mapping[str, object], record_type: str | None
) -> tuple[str, Collection[str]]:
    """Take the type asked for, else recognise it from columns most rows have, else from all.

    A single odd row must not change what the other rows are: it will be a bad row.

    Returns:
        record type, and the columns it was told from.
    """
    if record_type is not None:
        require_type(record_type, list(firsts), firsts)
        return record_type, list(firsts)
    counts = Counter(n for row in rows for n, value in row.values.items() if value is not None)
    usual = [name for name in firsts if 2 * counts[name] >= len(rows)]
    filled = [name for name in firsts if counts[name]]
    for present in (usual, filled):
        if candidate_types(present, firsts):
            return recognise(present, firsts), present
    return recognise(list(firsts), firsts), list(firsts)


def _build_rows(
    rows: Iterable[RawRow | BadRow], plan: _Plan
) -> Iterator[tuple[Record, ...] | BadRow]:
    build = KINDS[plan.record_type].build
    conversational: bool | None = None
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            records = build(_canonical(row, plan), row.origin)
            form = is_conversational(records[0])
            _check_same_form(form, conversational)
            conversational = form
            yield records
        except RowError as problem:
            yield BadRow.of(row.origin, problem)


def _canonical(row: RawRow, plan: _Plan) -> Row:
    values: dict[str, object] = {
        name: row.values[column] for name, column in plan.names.items() if column in row.values
    }
    for name, columns in plan.spread.items():
        values[name] = {column: row.values.get(column) for column in columns}
    return Row(values, plan.shown)


def is_conversational(record: Record) -> bool:
    """Tell whether a record's texts are lists of messages."""
    return not isinstance(prompts_of(record)[0], str)


def _check_same_form(form: bool, expected: bool | None) -> None:
    if expected is not None and form != expected:
        names = {True: "conversational (lists of messages)", False: "plain text"}
        raise RowError(
            "mixed plain and conversational",
            f"the row is {names[form]}, but the rows before it are {names[expected]}.",
            mend="Write all rows in one way.",
        )


def _nothing_left(source: str, bad: list[BadRow]) -> UserError:
    if not bad:
        return UserError("there are no rows.", where=source, mend="Give at least one row.")
    first = bad[0]
    return UserError(
        f"all {len(bad):,} rows are bad; the first: {first.message}",
        where=first.where,
        mend=first.mend,
    )
