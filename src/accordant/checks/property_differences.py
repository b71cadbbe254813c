"""Which of two answers has more of every property, for all pairs of the feedback.

Knows records, properties and, where there is a model, which answer it prefers. Knows no check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from accordant.base.errors import UserError
from accordant.checks.findings import FindingRow
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.pair_pass import GAPS, PAIRS, examples_of
from accordant.checks.passes import Pass
from accordant.checks.properties import measurable, words_of
from accordant.checks.texts import preference_row
from accordant.feedback.kinds import answers_of, kind_of_record, prompts_of
from accordant.feedback.records import Record, flat
from accordant.rewards.reward import Answer, score_single

if TYPE_CHECKING:
    from accordant.statistics.arrays import Flags, Floats, Integers

FILES, CLASSES = 12, 3  # scenarios: files at most, and classes of prompts by length

Place = tuple[int, int, int]
"""Record, preferred answer and other answer of a pair, each by its place."""


@dataclass(frozen=True, slots=True, eq=False)
class PropertyDifferences:
    """All pairs of the feedback, property by property.

    Args:
        names: the `k` properties.
        places: record, preferred answer and other answer of every pair, int64 `[n, 3]`.
        amounts: how much more the preferred answer has, float64 `[n, k]`, in the property's unit.
        gaps: `pair_pass.GAPS` of every pair, float64 `[n]`, NaN where the model could
            not read it; None without a model.
    """

    names: tuple[str, ...]
    places: Integers
    amounts: Floats
    gaps: Floats | None = None

    @property
    def signs(self) -> Floats:
        """-1, 0 or 1, `[n, k]`: whether the preferred answer has less, as much or more."""
        return np.sign(self.amounts)

    @property
    def records(self) -> Integers:
        """Record of every pair, int64 `[n]`."""
        return self.places[:, 0]

    def row(self, inputs: CheckInputs, pair: int, value: float, note: str) -> FindingRow:
        """Make the row that shows a pair, by its place."""
        record, better, worse = self.places[pair].tolist()
        return preference_row(inputs.feedback.records[record], better, worse, value, note)

    def take(self, kept: Flags) -> PropertyDifferences:
        """Take some of the pairs, by a mask `[n]`."""
        gaps = None if self.gaps is None else self.gaps[kept]
        return replace(self, places=self.places[kept], amounts=self.amounts[kept], gaps=gaps)


def measure_properties(inputs: CheckInputs, *, judged: bool = False) -> PropertyDifferences:
    """Measure every answer once and subtract, pair by pair.

    A reward is told that the model ended every answer itself, as nothing else is known of an
    answer of the feedback.

    Args:
        inputs: comparisons or rankings; their model is read where there is one.
        judged: whether the judge's score is one more property.

    Raises:
        NotApplicableError: no record prefers one answer to another.
    """
    # Properties are compared under one prompt: a joint pair may have two.
    preferred = {
        place: pairs
        for place, record in enumerate(inputs.feedback.records)
        if len(prompts_of(record)) == 1 and (pairs := kind_of_record(record).preferred(record))
    }
    if not preferred:
        raise NotApplicableError("no record prefers one answer to another")
    records = [inputs.feedback.records[place] for place in preferred]
    names, tables = tuple(measurable()), [_amounts(record) for record in records]
    if judged and inputs.reward is not None:
        names = (*names, f"judge {inputs.reward.name}")
        # All in one batch: a reward may be a model.
        answers = [
            Answer(prompts_of(record)[0], flat(answer))
            for record in records
            for _, answer in answers_of(record)
        ]
        scores = iter(score_single(inputs.reward, answers).tolist())
        tables = [np.column_stack([table, [next(scores) for _ in table]]) for table in tables]
    places = [(place, *pair) for place, pairs in preferred.items() for pair in pairs]
    by_record = dict(zip(preferred, tables, strict=True))
    amounts = np.stack([by_record[place][a] - by_record[place][b] for place, a, b in places])
    gaps = _gaps(inputs)
    return PropertyDifferences(
        names,
        np.array(places, np.int64),
        # A reward may give an empty answer minus infinity: the sign says which answer is better.
        np.nan_to_num(amounts, nan=0.0, posinf=1e9, neginf=-1e9),
        None if gaps is None else np.array([gaps.get(place, np.nan) for place in places]),
    )


def _amounts(record: Record) -> Floats:
    """Measure how much of every property each answer has, `[answers, k]`."""
    prompt, answers = flat(prompts_of(record)[0]), [flat(text) for _, text in answers_of(record)]
    rows = [[measure(prompt, answer) for measure in measurable().values()] for answer in answers]
    return np.array(rows, np.float64)


def _gaps(inputs: CheckInputs) -> dict[Place, float] | None:
    """Return the model's preference by pair; None where no model could read a pair."""
    if inputs.model is None or inputs.encoded is None:
        return None
    try:
        gaps = GAPS.read(inputs).tolist()
    except NotApplicableError:
        return None
    examples = examples_of(inputs)
    return {
        (examples[pair.example].index, pair.chosen, pair.rejected): gap
        for pair, gap in zip(PAIRS.read(inputs).pairs, gaps, strict=True)
    }


PROPERTY_DIFFERENCES = Pass(
    "properties", measure_properties, uses=("model", "reference"), reads=(GAPS,)
)


def scenarios_of(
    records: Sequence[Record], differences: PropertyDifferences, by: str
) -> tuple[tuple[str, ...], Integers] | None:
    """Name scenarios, and number that of every pair; None where there is one alone.

    Args:
        records: of the feedback.
        differences: of their pairs.
        by: `file` a record was read from, length of its `prompt` in three classes, `none`, or
            `auto`: files where there are two to twelve of them, else prompts.

    Raises:
        UserError: scenarios are files, and there are more than twelve.
    """
    sources = [record.origin.source if record.origin else "unknown" for record in records]
    files = tuple(dict.fromkeys(sources))
    if by == "file" and len(files) > FILES:
        raise UserError(
            f"there are {len(files)} files, and a scenario for each would hold too little.",
            where="dissection.by",
            mend=f"Join them into at most {FILES} files, or take `prompt` or `none`.",
        )
    if by == "none" or (by == "file" and len(files) < 2):
        return None
    if by == "file" or (by == "auto" and 2 <= len(files) <= FILES):
        names, scenario = _short(files), np.array([files.index(source) for source in sources])
    else:
        lengths = [len(words_of(flat(prompts_of(record)[0]))) for record in records]
        # Where many prompts are equally long, two ends may be one.
        ends = np.unique(np.quantile(lengths, np.arange(1, CLASSES) / CLASSES).round())
        names = _length_names([int(end) for end in ends])
        scenario = np.searchsorted(ends, lengths)
    present, numbered = np.unique(scenario[differences.records], return_inverse=True)
    if len(present) < 2:
        return None
    return tuple(names[place] for place in present), numbered.astype(np.int64)


def _short(files: Sequence[str]) -> tuple[str, ...]:
    """Name files without their folders, where that tells them apart."""
    names = tuple(PurePath(file).name for file in files)
    return names if len(set(names)) == len(files) else tuple(files)


def _length_names(ends: Sequence[int]) -> tuple[str, ...]:
    """Name classes that end at these numbers of words, and the one above."""
    between = (f"prompts of {low + 1} to {high} words" for low, high in pairwise(ends))
    return (f"prompts of up to {ends[0]} words", *between, f"prompts of over {ends[-1]} words")
