"""Rows that repeat an earlier row, word for word or nearly."""

from __future__ import annotations

from collections.abc import Sequence

from accordant.base.options import Fraction
from accordant.checks.findings import FindingRow, Outcome, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.near_texts import near_pairs, runs_of, similarity_of
from accordant.checks.registry import check
from accordant.checks.texts import key_of, passages_of, record_row
from accordant.feedback.kinds import answers_of, prompts_of
from accordant.feedback.records import Record, Text, flat
from accordant.statistics.estimates import wilson_interval

# Remarks that texts do not imply: the same answer may be liked once and not again.
LABELS = ("label", "judgment", "ratings")


@check(
    name="duplicates",
    title="Repeated rows",
    when="before",
    scale=Scale(
        "chosen here: one row in a hundred; a repeated row weighs as many times as it stands there",
        above={0.0: "info", 0.01: "warning"},
    ),
    shown=(100, "rows to list at most."),
)
def duplicates(inputs: CheckInputs, *, similarity: Fraction = 0.8) -> Outcome:
    """Rows that repeat an earlier one: the same texts, or texts that share most of their words.

    Two rows are nearly the same when their answers, and their prompts, have at least `similarity`
    of their runs of five words in common (Lee et al. 2022, arXiv:2107.06499, take the same measure
    and value for documents).

    Args:
        similarity: shared runs of five words from which on two rows are nearly the same.
    """
    records = inputs.feedback.records
    exact = _exact(records)
    near = _near(records, similarity, exact)
    repeats = sorted(
        [*((place, first, 1.0) for place, first in exact.items()), *near],
        key=lambda repeat: (-repeat[2], repeat[0]),
    )
    return Outcome(
        "rows that repeat an earlier one",
        wilson_interval(len(repeats), len(records)),
        _says(len(exact), len(near), len(records)),
        "Leave the later ones out: `--filter FILE` does.",
        unit="share",
        rows=[_row(records, *repeat, exact=repeat[0] in exact) for repeat in repeats],
        row_unit="share",
        drop=(records[place].origin for place in sorted(place for place, *_ in repeats)),
        measures={
            "the same texts": wilson_interval(len(exact), len(records)),
            "nearly the same": wilson_interval(len(near), len(records)),
        },
    )


def _says(exact: int, near: int, total: int) -> str:
    if not exact + near:
        return f"None of {total:,} rows repeats another."
    return (
        f"{exact:,} of {total:,} rows have the texts and labels of an earlier row and {near:,} "
        "nearly the same: training counts them again, and a split puts copies on both sides."
    )


def _exact(records: Sequence[Record]) -> dict[int, int]:
    """Find the earlier row of every row that repeats one, white space aside."""
    firsts: dict[tuple[str, ...], int] = {}
    repeats = {}
    for place, record in enumerate(records):
        first = firsts.setdefault((*map(key_of, _texts(record)), *_labels(record)), place)
        if first != place:
            repeats[place] = first
    return repeats


def _near(
    records: Sequence[Record], least: float, exact: dict[int, int]
) -> list[tuple[int, int, float]]:
    """Find (row, earlier row, similarity) of rows that are nearly but not exactly the same."""
    places = [place for place in range(len(records)) if place not in exact]
    texts = [[*map(flat, _texts(records[place]))] for place in places]
    repeats: dict[int, tuple[int, float]] = {}
    for pair in near_pairs([" ".join(row) for row in texts], least):
        i, j = places[pair.first], places[pair.second]
        # A row repeats the first row it is near to; with all of them it would count twice.
        if j in repeats or _labels(records[i]) != _labels(records[j]):
            continue
        if _alike(texts[pair.first], texts[pair.second], least):
            repeats[j] = (i, pair.similarity)
    return [(j, i, share) for j, (i, share) in repeats.items()]


def _texts(record: Record) -> list[Text]:
    return [*prompts_of(record), *(answer for _, answer in answers_of(record))]


def _labels(record: Record) -> tuple[str, ...]:
    """Return what was said of its answers, where that is no part of their order."""
    return tuple(passage.text for passage in passages_of(record) if passage.label in LABELS)


def _alike(first: Sequence[str], second: Sequence[str], least: float) -> bool:
    """Compare every text of two rows; a common prompt is not enough."""
    # In their order: the pair the other way round is no repetition, it contradicts.
    return len(first) == len(second) and all(
        a == b or similarity_of(runs_of(a), runs_of(b)) >= least
        for a, b in zip(first, second, strict=True)
    )


def _row(
    records: Sequence[Record], place: int, first: int, share: float, *, exact: bool
) -> FindingRow:
    earlier = () if exact else passages_of(records[first])
    return record_row(
        records[place],
        share,
        "the same" if exact else "nearly the same",
        also=(records[first],),
        passages=(*passages_of(records[place]), *earlier),
    )
