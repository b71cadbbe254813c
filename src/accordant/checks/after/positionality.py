"""With which groups of people labels or predictions agree, and with which less."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from accordant.base.options import Count
from accordant.checks.findings import (
    Chart,
    Finding,
    FindingRow,
    Measure,
    Passage,
    Series,
    Severity,
    Threshold,
)
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.registry import check
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from accordant.checks.annotations import Annotations
    from accordant.statistics.groups import GroupAgreement, GroupDifference

    Agreements = Mapping[str, tuple[GroupAgreement, ...]]
    Differences = Mapping[str, tuple[GroupDifference, ...]]

# A correlation over fewer items than four has no interval.
Items = Annotated[int, Field(ge=4)]
People = Annotated[int, Field(ge=2)]

TITLE = "Whom labels and predictions agree with"
THRESHOLD = Threshold(
    0.0,
    "no difference; each comparison's interval is widened by the number of comparisons of its "
    "property (Bonferroni, as in Santy et al. 2023)",
)
SMALL = 0.1  # a difference of correlations that Cohen 1988 (chapter 4) calls small
NAMED = 8  # groups that a sentence lists at most


@check(
    name="positionality",
    title=TITLE,
    when="after",
    paper="arXiv:2306.01943 NLPositionality: Characterizing Design Biases of Datasets and Models",
)
def positionality(
    inputs: CheckInputs,
    *,
    annotations: str = "",
    axes: str = "",
    min_annotators: People = 10,
    min_items: Items = 30,
    shown: Count = 50,
) -> Finding:
    """Groups of people whose ratings agree most and least with the labels or predictions.

    For every group of every property of the annotators: Pearson's r between the group's mean rating
    of an item and the item's label or prediction, its two-sided p times the number of tests of the
    property (Bonferroni), and an interval that counts what other annotators and other items would
    change. Raised where the interval of the difference between two groups of one property excludes
    0. Two groups are compared on the items both rated and at equal numbers of ratings per item, as
    means of few ratings agree less with anything.

    Args:
        annotations: table with the columns item, annotator, rating, and label or prediction (or
            both); every further column is a property of the annotators.
        axes: columns that are properties, separated by commas; empty for all further columns.
        min_annotators: people a group needs to be tested.
        min_items: items it has to have rated.
        shown: groups to list at most.
    """
    if not annotations:
        raise NotApplicableError(
            "it needs ratings by people whose groups are known "
            "(`--option positionality.annotations=FILE`)"
        )
    from accordant.checks.annotations import read_annotations
    from accordant.statistics.groups import agree_with_groups, compare_groups

    names = [name.strip() for name in axes.split(",") if name.strip()]
    table = read_annotations(annotations, names)
    arguments = {"annotators": min_annotators, "items": min_items, "seed": inputs.seed}
    found = {
        axis: agree_with_groups(table.ratings, groups, table.targets, **arguments)
        for axis, groups in table.axes.items()
    }
    compared = {
        axis: compare_groups(table.ratings, groups, table.targets, **arguments)
        for axis, groups in table.axes.items()
    }
    return _finding(table, found, compared, shown)


def _finding(table: Annotations, found: Agreements, compared: Differences, shown: int) -> Finding:
    axis, widest = _widest(compared)
    severity = _severity(compared)
    rows = _rows(found)
    return Finding(
        check="positionality",
        title=TITLE,
        severity=severity,
        quantity=_quantity(axis, widest),
        number=Interval(math.nan, math.nan, math.nan, 0) if widest is None else widest.number,
        sentence=" ".join(_sentences(table, found, compared)),
        mend="Say whose view the labels are; ask people of the groups that agree least, or keep "
        "several labels per item instead of one. For predictions, look at the items on which the "
        "two groups differ most."
        if severity != "ok"
        else "",
        threshold=THRESHOLD,
        rows=tuple(rows[:shown]),
        concerned=len(rows),
        measures=tuple(_measures(compared)),
        charts=tuple(_charts(found)),
    )


def _raised(compared: Differences) -> list[tuple[str, GroupDifference]]:
    """Differences whose interval excludes 0, the largest first, each with its property."""
    pairs = [(axis, one) for axis, own in compared.items() for one in own if one.number.low > 0]
    return sorted(pairs, key=lambda pair: -pair[1].number.estimate)


def _widest(compared: Differences) -> tuple[str, GroupDifference | None]:
    """The largest difference that is beyond chance, else the largest there is."""
    raised = _raised(compared)
    everything = [(axis, one) for axis, own in compared.items() for one in own]
    if not everything:
        return "", None
    return raised[0] if raised else max(everything, key=lambda pair: pair[1].number.estimate)


def _severity(compared: Differences) -> Severity:
    raised = _raised(compared)
    if not raised:
        return "ok"
    return "warning" if raised[0][1].number.estimate >= SMALL else "info"


def _quantity(axis: str, widest: GroupDifference | None) -> str:
    if widest is None:
        return "difference in agreement (Pearson's r) between two groups"
    return (
        f"difference in agreement (Pearson's r) with the {widest.target}s, {axis} "
        f"'{widest.first}' over '{widest.second}'"
    )


def _sentences(table: Annotations, found: Agreements, compared: Differences) -> Iterator[str]:
    for target in table.targets:
        tested = [
            (axis, one)
            for axis, own in found.items()
            for one in own
            if one.tested and one.target == target
        ]
        if not tested:
            yield f"No group is large enough to say whom the {target}s agree with."
            continue
        most = max(tested, key=lambda pair: pair[1].r.estimate)
        least = min(tested, key=lambda pair: pair[1].r.estimate)
        agreed = f"The {target}s agree most with {_described(*most)}"
        yield f"{agreed}." if len(tested) == 1 else f"{agreed} and least with {_described(*least)}."
    raised = _raised(compared)
    if raised:
        listed = [
            f"{axis} '{one.first}' over '{one.second}' (by {one.number.estimate:.2f}, "
            f"{one.target}s)"
            for axis, one in raised[:NAMED]
        ]
        more = f", and {len(raised) - NAMED} more" if len(raised) > NAMED else ""
        yield (
            "Beyond chance, and at equal numbers of ratings, they side with "
            f"{'; '.join(listed)}{more}: whoever trains on them or trusts them takes that side."
        )
    elif any(compared.values()):
        yield "No two groups of one property differ beyond chance."
    yield from _too_small(found)


def _described(axis: str, one: GroupAgreement) -> str:
    return (
        f"{axis} '{one.group}' (r {one.r.estimate:.2f}, {one.r.low:.2f} to {one.r.high:.2f}, "
        f"{_written(one.corrected)}, {one.annotators} people, {one.r.count} items)"
    )


def _written(p: float) -> str:
    return "corrected p under 0.001" if p < 0.001 else f"corrected p {p:.2g}"


def _too_small(found: Agreements) -> Iterator[str]:
    small = {
        f"{axis} '{one.group}' ({one.annotators} people, {one.r.count} items)": None
        for axis, own in found.items()
        for one in own
        if not one.tested
    }
    if small:
        names = list(small)
        more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield f"Too small or too uniform to be tested: {', '.join(names[:NAMED])}{more}."


def _rows(found: Agreements) -> list[FindingRow]:
    """Every group, the one agreed with least first; those that were not tested come last."""
    rows = []
    for axis, own in found.items():
        for one in own:
            group = Passage("group", f"{axis} '{one.group}'")
            passages = (group, Passage("agreement", _detail(one)))
            note = f"with the {one.target}s" if one.tested else "too small or too uniform"
            rows.append(FindingRow(one.r.estimate, passages, note=note))
    return sorted(rows, key=lambda row: (math.isnan(row.value), row.value))


def _detail(one: GroupAgreement) -> str:
    size = f"{one.annotators} people, {one.r.count} items, {one.ratings} ratings"
    if not one.tested:
        return f"not tested: {size}"
    return (
        f"r with the {one.target}s {one.r.estimate:.3f}, 95 % interval {one.r.low:.3f} to "
        f"{one.r.high:.3f}, {_written(one.corrected)} (p {one.p:.2g}); {size}"
    )


def _measures(compared: Differences) -> Iterator[Measure]:
    for axis, own in compared.items():
        for one in sorted(own, key=lambda d: -d.number.estimate):
            said = f"{axis}: '{one.first}' over '{one.second}', {one.target}s"
            yield Measure(said, one.number)


def _charts(found: Agreements) -> Iterator[Chart]:
    for axis, own in found.items():
        series = _series([one for one in own if one.tested])
        if series:
            yield Chart(
                "bars",
                f"Agreement by {axis}",
                "How closely each group's mean ratings follow the labels or predictions; groups "
                "with few ratings per item come out lower than they are.",
                axis,
                "Pearson's r",
                series,
            )


def _series(tested: Sequence[GroupAgreement]) -> tuple[Series, ...]:
    return tuple(
        Series(
            f"{target}s",
            tuple(one.r.estimate for one in own),
            low=tuple(one.r.low for one in own),
            high=tuple(one.r.high for one in own),
            labels=tuple(one.group for one in own),
        )
        for target in dict.fromkeys(one.target for one in tested)
        if (own := [one for one in tested if one.target == target])
    )
