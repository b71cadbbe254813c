"""Records a model cannot read whole, and answers that were cut off before they came here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from accordant.data.examples import Example
from accordant.data.records import Record
from accordant.diagnostics.findings import (
    Chart,
    Finding,
    FindingRow,
    Mark,
    Measure,
    Series,
    Severity,
    Threshold,
)
from accordant.diagnostics.material import Material
from accordant.diagnostics.registry import check
from accordant.diagnostics.texts import answers_of, flat, passages_of
from accordant.objectives.options import Count
from accordant.statistics.estimates import wilson_interval

THRESHOLD = Threshold(
    0.01, "chosen here: one row in a hundred; a cut answer teaches to stop in mid-sentence"
)
# An answer ends like this when somebody meant it to: a stop, a bracket, a quotation, code, a list.
_ENDED = re.compile(r"""[.!?…。！？:;)\]}>"'”’»`*_~|]\s*$|\d\s*$""")
# Answers of exactly the same length in tokens, as a share of all, that chance does not explain.
PILE, PILE_LEAST = 0.02, 5


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is wrong with a row; `value` is its tokens."""

    place: int
    value: int
    note: str


@check(name="truncation", title="Truncation", when="before", needs=("tokenizer",))
def truncation(material: Material, *, shown: Count = 100) -> Finding:
    """Records longer than the limit, and answers that end in mid-sentence where others end too.

    An answer counts as cut off when it does not end as sentences, lists or code end, and many
    answers have exactly its length in tokens, none a longer one by much: the limit of whoever
    generated them. An answer that merely lacks a full stop is not counted.

    Args:
        shown: rows to list at most.
    """
    records = material.feedback.records
    assert material.encoded is not None
    examples = (*material.encoded.examples, *material.too_long)
    limit = material.max_tokens
    long = [
        _Problem(one.index, _longest(one), "longer than the limit") for one in material.too_long
    ]
    cut = list(_cut_off(examples, records))
    problems = sorted((*long, *cut), key=lambda one: (-one.value, one.place))
    places = {one.place for one in problems}
    share = wilson_interval(len(places), len(records))
    return Finding(
        check="truncation",
        title="Truncation",
        severity=_severity(share.estimate),
        quantity="rows too long or cut off",
        number=share,
        unit="share",
        sentence=_sentence(len(long), len({one.place for one in cut}), len(records), limit),
        mend="Raise --max-length, shorten them, or leave them out: `--filter FILE` does."
        if places
        else "",
        threshold=THRESHOLD,
        rows=tuple(
            FindingRow(
                float(one.value),
                passages_of(records[one.place]),
                records[one.place].origin,
                note=one.note,
            )
            for one in problems[:shown]
        ),
        row_unit="tokens",
        concerned=len(places),
        drop=tuple(
            dict.fromkeys(
                origin for place in sorted(places) if (origin := records[place].origin) is not None
            )
        ),
        measures=(
            Measure("longer than the limit", wilson_interval(len(long), len(records)), "share"),
            Measure(
                "answers cut off",
                wilson_interval(len({one.place for one in cut}), len(records)),
                "share",
            ),
        ),
        charts=(_chart(examples, limit),),
    )


def _severity(share: float) -> Severity:
    if share == 0:
        return "ok"
    return "warning" if share > THRESHOLD.value else "info"


def _sentence(long: int, cut: int, total: int, limit: int | None) -> str:
    within = "" if limit is None else f" within {limit:,} tokens"
    if not long + cut:
        return f"All {total:,} rows fit{within}, and no answers break off at a common length."
    parts = []
    if long:
        parts.append(f"{long:,} of {total:,} rows are longer than {limit:,} tokens")
    if cut:
        parts.append(
            f"{cut:,} of {total:,} rows have an answer that breaks off where others break off too"
        )
    return f"{' and '.join(parts)}: what is trained on is not what people judged."


def _longest(example: Example) -> int:
    return max(len(tree.prompt) + max(map(len, tree.continuations)) for tree in example.trees)


def _cut_off(examples: Sequence[Example], records: Sequence[Record]) -> Iterator[_Problem]:
    """Answers that break off at the length at which many others break off."""
    lengths = [
        (example.index, name, len(ids) - 1, text)
        for example in examples
        for name, ids, text in _answers(example, records[example.index])
    ]
    unended = [one for one in lengths if not _ENDED.search(one[3])]
    # A limit may have been counted with another tokenizer or another end: allow for one token.
    counts = Counter(tokens for _, _, tokens, _ in unended)
    least = max(PILE_LEAST, PILE * len(lengths))
    piles = {
        tokens
        for tokens in counts
        if sum(counts[tokens + step] for step in (-1, 0, 1)) >= least
        and not any(other > tokens + 1 for _, _, other, _ in lengths)
    }
    for place, name, tokens, _ in unended:
        if any(abs(tokens - pile) <= 1 for pile in piles):
            yield _Problem(place, tokens, f"{name} breaks off")


def _answers(example: Example, record: Record) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """(name, tokens, text) of the answers; steps are one text and none of these."""
    answers = answers_of(record)
    continuations = [ids for tree in example.trees for ids in tree.continuations]
    if len(answers) == len(continuations):
        for (name, answer), ids in zip(answers, continuations, strict=True):
            yield name, ids, flat(answer)


def _chart(examples: Sequence[Example], limit: int | None) -> Chart:
    return Chart(
        "histogram",
        "Lengths of rows",
        "Prompt and longest answer together.",
        "tokens",
        "rows",
        (Series("rows", tuple(float(_longest(one)) for one in examples)),),
        () if limit is None else (Mark(float(limit), "limit"),),
    )
