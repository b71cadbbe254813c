"""Preferences that contradict each other: a pair both ways, cycles, labels for and against."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from accordant.checks.findings import FindingRow, Outcome, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.registry import check
from accordant.checks.texts import key_of, passages_of, record_row
from accordant.feedback.kinds import asked_of, kind_of_record, preferences_of, prompts_of
from accordant.feedback.records import Record
from accordant.statistics.estimates import wilson_interval

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Conflict:
    """Rows that cannot all be right, and those of them that are better left out."""

    rows: tuple[int, ...]
    drop: tuple[int, ...]
    note: str


@check(
    name="contradictions",
    title="Contradictions",
    when="before",
    feedback=("comparison", "ranking", "joint_pair", "binary", "judgment"),
    scale=Scale(
        "chosen here: one row in a hundred; of rows that contradict each other no model can fit "
        "more than half",
        above={0.0: "info", 0.01: "warning", 0.1: "serious"},
    ),
    shown=(100, "conflicts to list at most."),
)
def contradictions(inputs: CheckInputs) -> Outcome:
    """Rows that cannot all be right: a pair preferred both ways, a cycle, a label for and against.

    All preferences on one prompt make a graph with an arrow from the preferred answer to the other.
    Every preference within a strongly connected part of it is contradicted by the others there. Of
    a pair that stands both ways the rarer direction is to be left out, and both where they are
    equally frequent; of a longer cycle, and of an answer preferred to itself, all rows.
    """
    records = inputs.feedback.records
    conflicts = [*_preferences(records), *_labels(records)]
    conflicts.sort(key=lambda conflict: (-len(conflict.rows), conflict.rows))
    rows = {row for conflict in conflicts for row in conflict.rows}
    kinds = Counter(conflict.note for conflict in conflicts)
    dropped = sorted({place for conflict in conflicts for place in conflict.drop})
    return Outcome(
        "rows that another row contradicts",
        wilson_interval(len(rows), len(records)),
        _says(len(rows), len(records), kinds),
        "Decide which label is right, or leave them out: `--filter FILE` does.",
        unit="share",
        rows=[_row(records, conflict) for conflict in conflicts],
        row_unit="rows",
        drop=(records[place].origin for place in dropped),
        measures={
            kind: wilson_interval(
                len({row for c in conflicts if c.note == kind for row in c.rows}), len(records)
            )
            for kind in kinds
        },
    )


def _says(rows: int, total: int, kinds: Mapping[str, int]) -> str:
    if not rows:
        return f"None of {total:,} rows contradicts another."
    counts = ", ".join(f"{count:,} x {kind}" for kind, count in kinds.items())
    return (
        f"{rows:,} of {total:,} rows cannot all be right ({counts}): their gradients cancel, and "
        "the accuracy that can be reached is lower by as much."
    )


def _preferences(records: Sequence[Record]) -> Iterator[_Conflict]:
    """Find conflicts among preferences on one prompt."""
    edges = list(_edges(records))
    nodes: dict[Key, int] = {}
    for answer in (answer for better, worse, _ in edges for answer in (better, worse)):
        nodes.setdefault(answer, len(nodes))
    cycles = _cycles_of([(nodes[better], nodes[worse]) for better, worse, _ in edges], len(nodes))
    inside: dict[int, list[tuple[Key, Key, int]]] = defaultdict(list)
    for better, worse, row in edges:
        if cycles[nodes[better]] == cycles[nodes[worse]]:
            inside[cycles[nodes[better]]].append((better, worse, row))
    yield from map(_conflict, inside.values())


def _edges(records: Sequence[Record]) -> Iterator[tuple[Key, Key, int]]:
    """Yield (preferred, other, row); an answer is known by its prompt and its text."""
    for place, record in enumerate(records):
        asked = [key_of(prompt) for prompt in prompts_of(record)]
        for better, worse in preferences_of(record):
            # A joint pair has a prompt for each answer, all others one for both.
            yield (asked[0], key_of(better)), (asked[-1], key_of(worse)), place


def _cycles_of(edges: Sequence[tuple[int, int]], nodes: int) -> list[int]:
    """Number the strongly connected part of every node."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not edges:
        return []
    starts, ends = np.array(edges).T
    graph = coo_array((np.ones(len(edges)), (starts, ends)), shape=(nodes, nodes)).tocsr()
    numbers: list[int] = connected_components(graph, connection="strong")[1].tolist()
    return numbers


def _conflict(edges: Sequence[tuple[Key, Key, int]]) -> _Conflict:
    """Make the conflict of preferences that all lie on cycles with each other."""
    ways: dict[Key, list[int]] = defaultdict(list)
    for better, _, row in edges:
        ways[better].append(row)
    rows = tuple(sorted({row for *_, row in edges}))
    # On a cycle every answer is preferred to some other, so that these are all of them.
    if len(ways) == 1:
        return _Conflict(rows, rows, "an answer preferred to itself")
    if len(ways) > 2:
        return _Conflict(rows, rows, "a cycle of preferences")
    return _Conflict(rows, _rarer(ways.values()), "the same pair both ways")


def _rarer(ways: Collection[Sequence[int]]) -> tuple[int, ...]:
    """Choose rows to leave out, of two or more ways to say it."""
    # Equally frequent ways are equally likely to be wrong: both go.
    fewest = min(len({*rows}) for rows in ways)
    return tuple(sorted({row for rows in ways if len({*rows}) == fewest for row in rows}))


def _labels(records: Sequence[Record]) -> Iterator[_Conflict]:
    """Find answers that were called good as well as bad."""
    labels: dict[tuple[str, str], dict[bool, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, record in enumerate(records):
        label = kind_of_record(record).label(record)
        if label is not None:
            (asked,) = asked_of(record)
            ((_, answer),) = asked.answers
            labels[key_of(asked.prompt), key_of(answer)][label].append(place)
    for ways in labels.values():
        if len(ways) == 2:
            rows = tuple(sorted(row for way in ways.values() for row in way))
            yield _Conflict(rows, _rarer(ways.values()), "called good and bad")


def _row(records: Sequence[Record], conflict: _Conflict) -> FindingRow:
    first, *others = (records[place] for place in conflict.rows)
    return record_row(
        first,
        float(len(conflict.rows)),
        conflict.note,
        also=others,
        # A cycle may run through hundreds of rows, and a page shows a few.
        passages=(text for record in (first, *others[:5]) for text in passages_of(record)),
    )
