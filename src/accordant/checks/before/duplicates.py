"""Rows that repeat an earlier row, word for word or nearly."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from accordant.base.options import Count, Fraction
from accordant.checks.findings import Finding, FindingRow, Measure, Severity, Threshold
from accordant.checks.inputs import CheckInputs
from accordant.checks.near_texts import near_pairs, runs_of, similarity_of
from accordant.checks.registry import check
from accordant.checks.texts import answers_of, key_of, passages_of, prompts_of
from accordant.feedback.records import Origin, Record, flat
from accordant.statistics.estimates import wilson_interval

THRESHOLD = Threshold(
    0.01,
    "chosen here: one row in a hundred; a repeated row weighs as many times as it stands there",
)
LABELS = ("label", "judgment", "ratings")


@check(name="duplicates", title="Repeated rows", when="before")
def duplicates(inputs: CheckInputs, *, similarity: Fraction = 0.8, shown: Count = 100) -> Finding:
    """Rows that repeat an earlier one: the same texts, or texts that share most of their words.

    Two rows are nearly the same when their answers, and their prompts, have at least `similarity`
    of their runs of five words in common (Lee et al. 2022, arXiv:2107.06499, take the same measure
    and value for documents).

    Args:
        similarity: shared runs of five words from which on two rows are nearly the same.
        shown: rows to list at most.
    """
    records = inputs.feedback.records
    exact = _exact(records)
    near = _near(records, similarity, exact)
    found = [*((i, j, 1.0) for i, j in exact.items()), *near]
    found.sort(key=lambda one: (-one[2], one[0]))
    rows = [_row(records, *one, exact=one[0] in exact) for one in found]
    share = wilson_interval(len(found), len(records))
    return Finding(
        check="duplicates",
        title="Repeated rows",
        severity=_severity(share.estimate, THRESHOLD.value),
        quantity="rows that repeat an earlier one",
        number=share,
        unit="share",
        sentence=_sentence(len(exact), len(near), len(records)),
        mend="Leave the later ones out: `--filter FILE` does." if found else "",
        threshold=THRESHOLD,
        rows=tuple(rows[:shown]),
        row_unit="share",
        concerned=len(found),
        drop=_origins(records, [place for place, *_ in found]),
        measures=(
            Measure("the same texts", wilson_interval(len(exact), len(records)), "share"),
            Measure("nearly the same", wilson_interval(len(near), len(records)), "share"),
        ),
    )


def _severity(share: float, threshold: float) -> Severity:
    if share == 0:
        return "ok"
    return "warning" if share > threshold else "info"


def _sentence(exact: int, near: int, total: int) -> str:
    if not exact + near:
        return f"None of {total:,} rows repeats another."
    return (
        f"{exact:,} of {total:,} rows have the texts and labels of an earlier row and {near:,} "
        "nearly the same: training counts them again, and a split puts copies on both sides."
    )


def _exact(records: Sequence[Record]) -> dict[int, int]:
    """The earlier row of every row that repeats one, white space aside."""
    firsts: dict[tuple[object, ...], int] = {}
    found = {}
    for place, record in enumerate(records):
        texts = map(key_of, (*prompts_of(record), *(answer for _, answer in answers_of(record))))
        first = firsts.setdefault((*texts, *_said(record)), place)
        if first != place:
            found[place] = first
    return found


def _near(
    records: Sequence[Record], least: float, exact: dict[int, int]
) -> list[tuple[int, int, float]]:
    """(row, earlier row, similarity) of rows that are nearly but not exactly the same."""
    places = [place for place in range(len(records)) if place not in exact]
    parts = [_parts(records[place]) for place in places]
    whole = [" ".join(texts) for texts in parts]
    found: dict[int, tuple[int, float]] = {}
    for pair in near_pairs(whole, least):
        i, j = places[pair.first], places[pair.second]
        if j in found or _said(records[i]) != _said(records[j]):
            continue
        if _alike(parts[pair.first], parts[pair.second], least):
            found[j] = (i, pair.similarity)
    return [(j, i, share) for j, (i, share) in found.items()]


def _said(record: Record) -> tuple[str, ...]:
    """What was said of its answers, where that is no part of their order."""
    return tuple(passage.text for passage in passages_of(record) if passage.label in LABELS)


def _parts(record: Record) -> list[str]:
    return [*map(flat, prompts_of(record)), *(flat(answer) for _, answer in answers_of(record))]


def _alike(first: Sequence[str], second: Sequence[str], least: float) -> bool:
    """Whether every text of one row is nearly that of the other; a common prompt is not enough.

    The pair the other way round is no repetition: it contradicts.
    """
    if len(first) != len(second):
        return False
    return all(
        a == b or similarity_of(runs_of(a), runs_of(b)) >= least
        for a, b in zip(first, second, strict=True)
    )


def _row(
    records: Sequence[Record], place: int, first: int, share: float, *, exact: bool
) -> FindingRow:
    earlier = records[first].origin
    return FindingRow(
        value=share,
        passages=tuple(
            itertools.chain(
                passages_of(records[place]),
                () if exact else passages_of(records[first]),
            )
        ),
        origin=records[place].origin,
        also=(earlier,) if earlier is not None else (),
        note="the same" if exact else "nearly the same",
    )


def _origins(records: Sequence[Record], places: Sequence[int]) -> tuple[Origin, ...]:
    found = (records[place].origin for place in sorted(places))
    return tuple(dict.fromkeys(origin for origin in found if origin is not None))
