"""Pairs that differ in known properties, and a model whose preferences are given by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import torch

from accordant.checks.inputs import CheckInputs
from accordant.checks.pair_pass import PAIRS, REFERENCE_LOGPS, PairPass
from accordant.checks.pairs import list_pairs
from accordant.checks.ranking import PairLogps
from accordant.feedback.records import Comparison, Origin
from tests.checks.after.trained import trained
from tests.checks.before.feedback import sentence

Tastes = dict[str, float]
HEDGE, THANKS = "Maybe so. ", "Please so. "


def make_answer(draw: random.Random) -> str:
    """One to three random sentences, half of them with a hedge and half with thanks."""
    body = " ".join(sentence(draw, 6, 12) for _ in range(draw.randint(1, 3)))
    hedge = HEDGE if draw.random() < 0.5 else ""
    thanks = THANKS if draw.random() < 0.5 else ""
    return hedge + thanks + body


def taste(answer: str, liking: Tastes) -> float:
    """What somebody makes of an answer who likes each of its parts so much."""
    return (
        liking.get("hedge", 0.0) * (HEDGE in answer)
        + liking.get("thanks", 0.0) * (THANKS in answer)
        + liking.get("length", 0.0) * answer.count(".")
    )


def preferring(
    liking: Tastes, count: int = 600, seed: int = 0, source: Callable[[int], str] = str
) -> list[Comparison]:
    """Comparisons labelled by somebody with these likings, by Bradley-Terry."""
    draw = random.Random(seed)
    records = []
    for row in range(1, count + 1):
        first, second = make_answer(draw), make_answer(draw)
        gain = taste(first, liking) - taste(second, liking)
        if draw.random() >= 1 / (1 + math.exp(-gain)):
            first, second = second, first
        origin = Origin(source(row) if source is not str else "tastes.jsonl", row)
        records.append(Comparison(sentence(draw, 4, 30), first, second, origin))
    return records


def _logistic(draw: random.Random) -> float:
    chance = draw.random()
    return math.log(chance / (1 - chance))


def modelled(
    records: Sequence[Comparison], liking: Tastes, noise: float = 1.0, seed: int = 1
) -> CheckInputs:
    """Inputs whose model prefers by these likings, whatever the labels are.

    With `noise` 1 it prefers as another voter of `preferring` with these likings does.
    """
    draw = random.Random(seed)
    ready = trained(records, lambda model: model)
    assert ready.encoded is not None
    pairs = tuple(list_pairs(ready.encoded.examples))
    rows = []
    for record in records:
        gap = taste(str(record.chosen), liking) - taste(str(record.rejected), liking)
        rows.append([gap + noise * _logistic(draw) - 30.0, -30.0, 8.0, 8.0])
    columns = torch.tensor(rows, dtype=torch.float64)
    same = torch.tensor([[-30.0, -30.0, 8.0, 8.0]] * len(rows), dtype=torch.float64)
    ready.shared[PAIRS.key()] = PairPass(pairs, PairLogps.of(columns), torch.zeros(len(rows), 3))
    ready.shared[REFERENCE_LOGPS.key()] = PairLogps.of(same)
    return ready
