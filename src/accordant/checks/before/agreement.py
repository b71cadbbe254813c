"""How far people who judged the same item agree, beyond chance."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accordant.checks.findings import FindingRow, Outcome, Scale
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.registry import check
from accordant.checks.texts import key_of, record_row
from accordant.feedback.records import Binary, Comparison, Judgment, Rating, Record
from accordant.statistics.agreement import Metric, krippendorff_alpha, pairwise_agreement
from accordant.statistics.charts import Chart
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from accordant.feedback.records import Text

SCALE = Scale(
    "Krippendorff 2004, Content analysis, chapter 11: below it not even tentative conclusions; 0.8 "
    "is what he asks for",
    surely_below={0.8: "info", 0.667: "warning", 0.2: "serious"},
)


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing that was judged more than once."""

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
    metric: Metric = "interval" if inputs.feedback.record_type == "rating" else "nominal"
    alphas = {
        name: krippendorff_alpha([item.values for item in items], metric)
        for name, items in groups.items()
    }
    # Labels that are all the same have no alpha, and are never the worst.
    name = min(alphas, key=lambda group: np.nan_to_num(alphas[group].estimate, nan=np.inf))
    alpha, items = alphas[name], groups[name]
    raised = SCALE.severity(alpha) != "ok"
    return Outcome(
        f"Krippendorff's alpha{f' of {name}' if name else ''}",
        alpha,
        _says(alpha, len(items), raised),
        "Ask more people per item, sharpen the instructions, weigh rows by their votes (`irepo`, "
        "`--option label_smoothing`), or leave disputed items out.",
        rows=_rows(records, items) if raised else (),
        row_unit="disagreement",
        measures=_measures(groups, alphas),
        charts=(
            Chart.histogram(
                "Agreement per item",
                "Share of pairs of people who say the same of an item.",
                "share of pairs that agree",
                "items",
                (pairwise_agreement([item.values]).estimate for item in items),
            ),
        ),
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


def _measures(
    groups: Mapping[str, Sequence[_Item]], alphas: Mapping[str, Interval]
) -> dict[str, Interval | tuple[Interval, str]]:
    measures: dict[str, Interval | tuple[Interval, str]] = {}
    for name, items in groups.items():
        of = f" of {name}" if name else ""
        if len(groups) > 1:
            measures[f"alpha{of}"] = alphas[name]
        shares = pairwise_agreement([item.values for item in items])
        measures[f"pairs of people who say the same{of}"] = shares, "share"
    return measures


def _groups(records: Sequence[Record]) -> dict[str, list[_Item]]:
    """Group values by item, at least two each, by what was judged (attributes of ratings)."""
    values: dict[str, dict[tuple[str, ...], list[tuple[float, int]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for place, record in enumerate(records):
        for group, key, value in _votes(record):
            values[group][key].append((value, place))
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
    match record:
        case Comparison():
            answers = key_of(record.chosen), key_of(record.rejected)
            if answers[0] == answers[1]:
                return
            first_won = float(_digest(answers[0]) < _digest(answers[1]))
            key = (key_of(record.prompt), *sorted(answers))
            for value, count in zip(
                (first_won, 1 - first_won), record.votes or (1, 0), strict=True
            ):
                yield from [("", key, value)] * count
        case Binary():
            yield "", _item(record.prompt, record.completion), float(record.label)
        case Judgment(is_good=bool(good)):
            yield "", _item(record.prompt, record.completion), float(good)
        case Rating():
            for name, value in record.ratings.items():
                yield name, _item(record.prompt, record.completion), value
        case _:
            return


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _item(prompt: Text, answer: Text) -> tuple[str, str]:
    return key_of(prompt), key_of(answer)


def _rows(records: Sequence[Record], items: Sequence[_Item]) -> list[FindingRow]:
    """List disputed items, by the share of pairs of people who say something else."""
    rows = []
    for item in items:
        disagreement = 1 - pairwise_agreement([item.values]).estimate
        if disagreement > 0:
            first, *others = (records[place] for place in item.rows)
            rows.append(record_row(first, disagreement, f"{len(item.values)} labels", also=others))
    return sorted(rows, key=lambda row: -row.value)
