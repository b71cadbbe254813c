"""How far people who judged the same item agree, beyond chance."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from accordant.checks.findings import FindingRow, Outcome, Scale
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.registry import check
from accordant.checks.texts import key_of, record_row
from accordant.feedback.kinds import kind_of_record
from accordant.feedback.records import Record
from accordant.statistics.agreement import Metric, krippendorff_alpha, pairwise_agreement
from accordant.statistics.charts import Chart
from accordant.statistics.interval import Interval

SCALE = Scale(
    "Krippendorff 2004, Content analysis, chapter 11: below it not even tentative conclusions; 0.8 "
    "is what he asks for",
    surely_below={0.8: "info", 0.667: "warning", 0.2: "serious"},
)


class _Item(NamedTuple):
    """One thing that was judged more than once: what was said of it, and in which rows."""

    values: tuple[float, ...]
    rows: tuple[int, ...]


@check(
    name="agreement",
    title="Annotator agreement",
    when="before",
    feedback=("comparison", "binary", "rating", "judgment"),
    scale=SCALE,
    shown=(50, "items to list at most, the most disputed first."),
)
def agreement(inputs: CheckInputs) -> Outcome:
    """Krippendorff's alpha of labels on the same item: 1 is full agreement, 0 is chance.

    Items are comparisons with votes, and any pair, answer or rating that stands in several rows;
    every row then is one vote. Which answer of a pair stands first is told by a hash of its text:
    not by who won, as alpha would count the winner's name as agreement. Ratings are compared by
    their squared difference, and the attribute that is agreed on least gives the number. The
    interval is a bootstrap over items.
    """
    records = inputs.feedback.records
    groups = {name: items for name, items in _groups(records).items() if items}
    if not groups:
        raise NotApplicableError("nobody judged the same item twice, and no row has several votes")
    # Ratings are numbers, of which 4 is nearer to 5 than 1 is; all else agrees or does not.
    metric: Metric = "interval" if inputs.feedback.record_type == "rating" else "nominal"
    alphas = {
        name: krippendorff_alpha([item.values for item in items], metric)
        for name, items in groups.items()
    }
    # Labels that are all the same have no alpha, and are never the worst.
    name = min(alphas, key=lambda group: np.nan_to_num(alphas[group].estimate, nan=np.inf))
    alpha, items = alphas[name], groups[name]
    raised = SCALE.severity(alpha) != "ok"
    histogram = Chart.histogram(
        "Agreement per item",
        "Share of pairs of people who say the same of an item.",
        "share of pairs that agree",
        "items",
        (pairwise_agreement([item.values]).estimate for item in items),
    )
    measures: dict[str, Interval | tuple[Interval, str]] = {}
    for group, judged in groups.items():
        of = f" of {group}" if group else ""
        if len(groups) > 1:
            measures[f"alpha{of}"] = alphas[group]
        shares = pairwise_agreement([item.values for item in judged])
        measures[f"pairs of people who say the same{of}"] = shares, "share"
    return Outcome(
        f"Krippendorff's alpha{f' of {name}' if name else ''}",
        alpha,
        _says(alpha, len(items), raised),
        "Ask more people per item, sharpen the instructions, weigh rows by their votes (`irepo`, "
        "`--option label_smoothing`), or leave disputed items out.",
        rows=_rows(records, items) if raised else (),
        row_unit="disagreement",
        measures=measures,
        charts=(histogram,),
    )


def _says(alpha: Interval, items: int, raised: bool) -> str:
    if np.isnan(alpha.estimate):
        return f"All labels of {items:,} items are the same, so agreement beyond chance is unknown."
    agreed = (
        f"Over {items:,} items judged more than once, people agree {alpha.estimate:.0%} of the way "
        "from chance to certainty"
    )
    if not raised:
        return f"{agreed}."
    return f"{agreed}: much of what is learnt from single labels is one person's view or a slip."


def _groups(records: Sequence[Record]) -> dict[str, list[_Item]]:
    """Group values by item, at least two each, by what was judged (attributes of ratings)."""
    values: dict[str, dict[tuple[str, ...], list[tuple[float, int]]]] = {}
    for place, record in enumerate(records):
        for group, key, value in _votes(record):
            values.setdefault(group, defaultdict(list))[key].append((value, place))
    return {
        group: [
            _Item(tuple(value for value, _ in votes), tuple(dict.fromkeys(row for _, row in votes)))
            for votes in items.values()
            if len(votes) > 1
        ]
        for group, items in values.items()
    }


def _votes(record: Record) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Yield (group, item, value) of everything a record says."""
    kind = kind_of_record(record)
    (asked,) = kind.asked(record)
    prompt, answers = key_of(asked.prompt), [key_of(answer) for _, answer in asked.answers]
    for better, worse in kind.preferred(record):
        won, lost = answers[better], answers[worse]
        if won != lost:
            item, first_won = (prompt, *sorted((won, lost))), float(_digest(won) < _digest(lost))
            counts = kind.numbers(record).get("votes", (1, 0))
            for value, count in zip((first_won, 1 - first_won), counts, strict=True):
                # Every vote is one person's word, so that alpha is over people and not over rows.
                yield from [("", item, value)] * int(count)
    label = kind.label(record)
    if label is not None:
        yield "", (prompt, *answers), float(label)
    for attribute, value in kind.attributes(record).items():
        yield attribute, (prompt, *answers), value


def _digest(text: str) -> bytes:
    # Feedback may hold half a surrogate pair, which UTF-8 proper refuses.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _rows(records: Sequence[Record], items: Sequence[_Item]) -> list[FindingRow]:
    """List disputed items, by the share of pairs of people who say something else."""
    rows = []
    for item in items:
        disagreement = 1 - pairwise_agreement([item.values]).estimate
        if disagreement > 0:
            first, *others = (records[place] for place in item.rows)
            rows.append(record_row(first, disagreement, f"{len(item.values)} labels", also=others))
    return sorted(rows, key=lambda row: -row.value)
