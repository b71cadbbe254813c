"""With which groups of people labels or predictions agree, and with which less."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from accordant.checks.annotations import ANNOTATIONS, Annotations
from accordant.checks.findings import FindingRow, Outcome, Passage, Scale, Severity
from accordant.checks.inputs import CheckInputs
from accordant.checks.registry import check
from accordant.statistics.charts import Chart, Series
from accordant.statistics.groups import agree_with_groups, compare_groups, correct_together
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from accordant.statistics.groups import GroupAgreement, GroupDifference

    # Each with the property of the annotators that parts them into groups.
    Agreements = list[tuple[str, GroupAgreement]]
    Differences = list[tuple[str, GroupDifference]]

# A correlation over fewer items than four has no interval.
Items = Annotated[int, Field(ge=4)]
People = Annotated[int, Field(ge=2)]

SMALL = 0.1  # a difference of correlations that Cohen 1988 (chapter 4) calls small
NAMED = 8  # groups that a sentence lists at most


@check(
    name="positionality",
    title="Whom labels and predictions agree with",
    when="after",
    reads=(ANNOTATIONS,),
    paper="arXiv:2306.01943 NLPositionality: Characterizing Design Biases of Datasets and Models",
    scale=Scale(
        "no difference; each comparison's interval is widened by the number of comparisons of its "
        "property (Bonferroni). The comparison is accordant's own: Santy et al. 2023 report each "
        "group's r, starred where its p, corrected over all groups of all properties, is under "
        "0.001",
        threshold=0.0,
    ),
    shown=(50, "groups to list at most."),
)
def positionality(
    inputs: CheckInputs,
    table: Annotations,
    *,
    min_annotators: People = 10,
    min_items: Items = 30,
    rounded: bool = True,
) -> Outcome:
    """Groups of people whose ratings agree most and least with the labels or predictions.

    For every group of every property of the annotators: Pearson's r between the group's mean rating
    of an item, rounded, and the item's label or prediction, its two-sided p times the number of
    tests of all properties (Bonferroni), and an interval that counts what other annotators and
    other items would change. Raised where the interval of the difference between two groups of one
    property excludes 0. Two groups are compared on the items both rated and at equal numbers of
    ratings per item, as means of few ratings agree less with anything.

    Args:
        min_annotators: people a group needs to be tested.
        min_items: items it has to have rated.
        rounded: whether means are rounded to whole numbers for r, as published; means of ratings
            that are no whole numbers themselves are not.
    """
    arguments = {"annotators": min_annotators, "items": min_items, "seed": inputs.seed}
    agreements = _agree(table, rounded, arguments)
    compared = [
        (axis, difference)
        for axis, groups in table.axes.items()
        for difference in compare_groups(table.ratings, groups, table.targets, **arguments)
    ]
    # What is beyond chance comes first, and within that what is largest.
    compared.sort(key=lambda pair: (not pair[1].number.low > 0, -pair[1].number.estimate))
    beyond = [(axis, d) for axis, d in compared if d.number.low > 0]
    large = bool(beyond) and beyond[0][1].number.estimate >= SMALL
    severity: Severity = "warning" if large else "info" if beyond else "ok"
    charts = (_chart(axis, [a for of, a in agreements if of == axis]) for axis in table.axes)
    return Outcome(
        f"difference in agreement (Pearson's r) {_between(compared)}",
        compared[0][1].number if compared else Interval.unknown(0),
        " ".join(_says(table, agreements, compared, beyond)),
        "Say whose view the labels are; ask people of the groups that agree least, or keep several "
        "labels per item instead of one. For predictions, look at the items on which the two "
        "groups differ most.",
        severity=severity,
        # The group agreed with least stands first; those not tested come last.
        rows=sorted(
            (_row(*pair) for pair in agreements), key=lambda row: (math.isnan(row.value), row.value)
        ),
        measures={
            f"{axis}: '{d.first}' over '{d.second}', {d.target}s": d.number
            for axis in table.axes
            for of, d in sorted(compared, key=lambda pair: -pair[1].number.estimate)
            if of == axis
        },
        charts=[chart for chart in charts if chart.series],
    )


def _agree(table: Annotations, rounded: bool, arguments: dict[str, int]) -> Agreements:
    """Measure the agreement of every group, corrected over all groups of all properties."""
    # Rounded means of ratings between whole numbers would be all that is left of them.
    whole = rounded and bool((table.ratings.values == np.rint(table.ratings.values)).all())
    found = [
        (axis, agreement)
        for axis, groups in table.axes.items()
        for agreement in agree_with_groups(
            table.ratings, groups, table.targets, rounded=whole, **arguments
        )
    ]
    corrected = correct_together([agreement for _, agreement in found])
    return list(zip([axis for axis, _ in found], corrected, strict=True))


def _between(compared: Differences) -> str:
    if not compared:
        return "between two groups"
    axis, widest = compared[0]
    return f"with the {widest.target}s, {axis} '{widest.first}' over '{widest.second}'"


def _says(
    table: Annotations, agreements: Agreements, compared: Differences, beyond: Differences
) -> Iterator[str]:
    for target in table.targets:
        tested = [(axis, a) for axis, a in agreements if a.tested and a.target == target]
        if not tested:
            yield f"No group is large enough to say whom the {target}s agree with."
            continue
        tested.sort(key=lambda pair: pair[1].r.estimate)
        least, most = (
            f"{axis} '{a.group}' (r {a.r.estimate:.2f}, {a.r.low:.2f} to {a.r.high:.2f}, "
            f"{_corrected(a)}, {a.annotators} people, {a.r.count} items)"
            for axis, a in (tested[0], tested[-1])
        )
        and_least = "" if len(tested) == 1 else f" and least with {least}"
        yield f"The {target}s agree most with {most}{and_least}."
    if beyond:
        sides = [
            f"{axis} '{d.first}' over '{d.second}' (by {d.number.estimate:.2f}, {d.target}s)"
            for axis, d in beyond
        ]
        yield (
            "Beyond chance, and at equal numbers of ratings, they side with "
            f"{_listed(sides, '; ')}: whoever trains on them or trusts them takes that side."
        )
    elif compared:
        yield "No two groups of one property differ beyond chance."
    # A group that two numbers are compared with is named once.
    small = dict.fromkeys(
        f"{axis} '{a.group}' ({a.annotators} people, {a.r.count} items)"
        for axis, a in agreements
        if not a.tested
    )
    if small:
        yield f"Too small or too uniform to be tested: {_listed(list(small), ', ')}."


def _listed(names: Sequence[str], separator: str) -> str:
    more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return separator.join(names[:NAMED]) + more


def _corrected(agreement: GroupAgreement) -> str:
    p = agreement.corrected
    return "corrected p under 0.001" if p < 0.001 else f"corrected p {p:.2g}"


def _row(axis: str, agreement: GroupAgreement) -> FindingRow:
    r = agreement.r
    size = f"{agreement.annotators} people, {r.count} items, {agreement.ratings} ratings"
    note, detail = "too small or too uniform", f"not tested: {size}"
    if agreement.tested:
        note = f"with the {agreement.target}s"
        detail = (
            f"r {note} {r.estimate:.3f}, 95 % interval {r.low:.3f} to {r.high:.3f}, "
            f"{_corrected(agreement)} (p {agreement.p:.2g}); {size}"
        )
    group = Passage("group", f"{axis} '{agreement.group}'")
    return FindingRow(r.estimate, (group, Passage("agreement", detail)), note=note)


def _chart(axis: str, agreements: Sequence[GroupAgreement]) -> Chart:
    """Draw the groups that were tested, side by side for labels and predictions."""
    by_target: dict[str, list[GroupAgreement]] = defaultdict(list)
    for agreement in agreements:
        if agreement.tested:
            by_target[agreement.target].append(agreement)
    series = (
        Series.of_intervals(f"{target}s", [a.r for a in tested], [a.group for a in tested])
        for target, tested in by_target.items()
    )
    return Chart(
        "bars",
        f"Agreement by {axis}",
        "How closely each group's mean ratings follow the labels or predictions; groups with few "
        "ratings per item come out lower than they are.",
        axis,
        "Pearson's r",
        tuple(series),
    )
