"""Feedback without a fault, and places to plant one."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from accordant.checks.findings import Finding
from accordant.checks.inputs import CheckInputs
from accordant.feedback.loading import Feedback
from accordant.feedback.records import Comparison, Origin, Record

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "rt", "ll", "s")]


def sentence(draw: random.Random, least: int = 8, most: int = 30) -> str:
    words = draw.choices(WORDS, k=draw.randint(least, most))
    return " ".join(words).capitalize() + "."


def comparisons(count: int = 200, seed: int = 0) -> list[Comparison]:
    """Pairs of random sentences, the preferred one drawn at random as well."""
    draw = random.Random(seed)
    return [
        Comparison(sentence(draw), sentence(draw), sentence(draw), Origin("clean.jsonl", row))
        for row in range(1, count + 1)
    ]


def feedback(records: Sequence[Record], kind: str = "comparison", name: str = "f") -> Feedback:
    return Feedback(tuple(records), kind, name, rows=len(records))


def run(
    check: Callable[..., Finding], records: Sequence[Record], kind: str = "comparison", **options
) -> Finding:
    return check(CheckInputs(feedback(records, kind)), **options)


def rows_of(finding: Finding) -> set[int]:
    """Rows a finding names."""
    listed = [row.origin for row in finding.rows] + [o for row in finding.rows for o in row.also]
    return {origin.row for origin in listed if origin is not None}


def dropped(finding: Finding) -> list[int]:
    return [origin.row for origin in finding.drop]
