"""Records a model cannot read whole, and answers that were cut off before they came here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from accordant.checks.findings import Outcome, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.passes import TOKENS
from accordant.checks.registry import check
from accordant.checks.texts import record_row
from accordant.feedback.kinds import answers_of
from accordant.feedback.records import Record, flat
from accordant.statistics.charts import Chart, Mark
from accordant.statistics.estimates import wilson_interval
from accordant.tokens.examples import Example
from accordant.tokens.rendering import Encoded

# An answer ends like this when somebody meant it to: a stop, a bracket, a quotation, code, a list.
_ENDED = re.compile(r"""[.!?…。！？:;)\]}>"'”’»`*_~|]\s*$|\d\s*$""")
# Chance of so many unended answers at one length, given the lengths around it, that is no chance.
CHANCE = 1e-7
AROUND = 10  # tokens to either side
SHORTEST = 32  # tokens; shorter answers may well lack a full stop, and nobody generates so few


class _Problem(NamedTuple):
    """What is wrong with a row; `value` is its tokens."""

    place: int
    value: int
    note: str


@check(
    name="truncation",
    title="Truncation",
    when="before",
    reads=(TOKENS,),
    scale=Scale(
        "chosen here: one row in a hundred; a cut answer teaches to stop in mid-sentence",
        above={0.0: "info", 0.01: "warning"},
    ),
    shown=(100, "rows to list at most."),
)
def truncation(inputs: CheckInputs, encoded: Encoded) -> Outcome:
    """Records longer than the limit, and answers that end in mid-sentence where others end too.

    An answer counts as cut off when it does not end as sentences, lists or code end, and far more
    answers end so at its length in tokens than at lengths around it: the limit of whoever generated
    them. An answer that merely lacks a full stop is not counted.
    """
    records = inputs.feedback.records
    examples = (*encoded.examples, *inputs.too_long)
    long = [
        _Problem(example.index, _longest(example), "longer than the limit")
        for example in inputs.too_long
    ]
    cut = list(_cut_off(examples, records))
    cut_rows = len({problem.place for problem in cut})
    problems = sorted((*long, *cut), key=lambda problem: (-problem.value, problem.place))
    # A row may be too long and have several answers cut: it counts once.
    places = sorted({problem.place for problem in problems})
    return Outcome(
        "rows too long or cut off",
        wilson_interval(len(places), len(records)),
        _says(len(long), cut_rows, len(records), inputs.max_tokens),
        "Raise --max-length, shorten them, or leave them out: `--filter FILE` does.",
        unit="share",
        rows=(record_row(records[p.place], float(p.value), p.note) for p in problems),
        row_unit="tokens",
        concerned=len(places),
        drop=(records[place].origin for place in places),
        measures={
            "longer than the limit": wilson_interval(len(long), len(records)),
            "answers cut off": wilson_interval(cut_rows, len(records)),
        },
        charts=(
            Chart.histogram(
                "Lengths of rows",
                "Prompt and longest answer together.",
                "tokens",
                "rows",
                (float(_longest(example)) for example in examples),
                *(() if inputs.max_tokens is None else (Mark(float(inputs.max_tokens), "limit"),)),
            ),
        ),
    )


def _says(long: int, cut: int, total: int, limit: int | None) -> str:
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
    """Find answers that break off at a length at which many others break off."""
    unended = [
        # The end token is no token of the answer, and would be one more in every row.
        (example.index, name, len(ids) - 1, text)
        for example in examples
        for name, ids, text in _answers(example, records[example.index])
        if not _ENDED.search(text)
    ]
    # The same text in many rows is one answer.
    piles = _piles(Counter(tokens for tokens, _ in {(answer[2], answer[3]) for answer in unended}))
    for place, name, tokens, _ in unended:
        if any(abs(tokens - pile) <= 1 for pile in piles):
            yield _Problem(place, tokens, f"{name} breaks off")


def _piles(counts: Counter[int]) -> set[int]:
    """Find lengths that are far commoner than those around them.

    The limit may have been counted with another tokenizer or another end, so lengths that differ by
    one token count together.
    """
    from scipy.stats import poisson

    piles = set()
    for tokens in counts:
        pile = sum(counts[tokens + step] for step in (-1, 0, 1))
        around = sum(
            counts[tokens + step] for step in range(-AROUND - 1, AROUND + 2) if abs(step) > 1
        )
        # Three lengths count together, so three are expected; half a one where there are none
        # around.
        expected = max(3 * around / (2 * AROUND), 0.5)
        # A tail of the Poisson distribution, as answers that lack a stop come one by one.
        if tokens >= SHORTEST and poisson.sf(pile - 1, expected) < CHANCE:
            piles.add(tokens)
    return piles


def _answers(example: Example, record: Record) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """Yield (name, tokens, text) of the answers; steps are one text and none of these."""
    answers = answers_of(record)
    continuations = [ids for tree in example.trees for ids in tree.continuations]
    if len(answers) == len(continuations):
        for (name, answer), ids in zip(answers, continuations, strict=True):
            yield name, ids, flat(answer)
