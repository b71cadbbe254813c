"""S14: a preference for length that was planted in the labels is found factor by factor.

Knows the laboratory and the check's scores. Voters prefer the answer that names more objects right,
and besides the longer one, or the shorter one, or neither; further voters toss coins. A small
transformer is trained with DPO by their labels; which factors it prefers is then read from its
preferences between held-out answers and from what it writes. Only answers that name as many objects
as were listed are compared: one too many would be longer and wrong, and right answers would be
shorter without anybody liking that.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from accordant.checks.properties import PROPERTIES
from accordant.scoring.engine import score_all
from accordant.statistics.corrections import holm
from accordant.statistics.factors import compare_factors, score_factors
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant_studies.laboratory.language import (
    Tokens,
    accuracy,
    draw_prompts,
    is_grammatical,
    manner_share,
    nouns_of,
    objects_of,
    spell,
)
from accordant_studies.laboratory.training import minibatches, train
from accordant_studies.laboratory.transformer import clone, sample, start_model
from accordant_studies.study import Claim, Measured, Share, Study, fresh_seeds

SEEDS = fresh_seeds(6)  # of six exact trials all must succeed: the lower end is then 0.54
PAIRS, HELD_OUT, WRITTEN = 400, 400, 300
SHARPNESS = 4.0  # of the voters' liking for right answers, per share of objects
LIKING = 1.0  # planted, per token
BETA = 0.1
RATE = 1e-4
EPOCHS, BATCH = 6, 32
LONGER, SHORTER = "longer is liked", "shorter is liked"
RIGHT, COINS = "only right answers are liked", "coins are tossed"
# What voters make of right answers and of length.
ARMS: Mapping[str, tuple[float, float]] = {
    LONGER: (SHARPNESS, LIKING),
    SHORTER: (SHARPNESS, -LIKING),
    RIGHT: (SHARPNESS, 0.0),
    COINS: (0.0, 0.0),
}

Pair = tuple[Tokens, Tokens, Tokens]
"""Prompt, preferred answer, other answer."""


def _words(_: Tokens, answer: Tokens) -> float:
    measure = PROPERTIES["length"].measure
    assert measure is not None
    return measure("", spell(answer))


def _variety(_: Tokens, answer: Tokens) -> float:
    return len(set(answer)) / len(answer)


FACTORS: Mapping[str, Callable[[Tokens, Tokens], float]] = {
    "length": _words,
    "right objects": accuracy,
    "polite share": lambda _, answer: manner_share(answer, "polite"),
    "rude share": lambda _, answer: manner_share(answer, "rude"),
    "different words": _variety,
    "different objects": lambda _, answer: float(len(set(nouns_of(answer)))),
}


def study() -> Study:
    """Plant, train, and look what PROFILE finds."""
    return Study(
        _measure,
        SEEDS,
        _claims(),
        untested=("what a model prefers and what it writes go apart",),
        note=f"{PAIRS} labels to train on by DPO with beta {BETA}, {HELD_OUT} held-out pairs, and "
        f"{WRITTEN} prompts that the model answers once each before and after training. In all "
        "pairs both answers name as many objects as were listed. Scores are tau_f, from -1 to 1. "
        "'Found' says that the score for length on held-out pairs is no chance at 5 % over all six "
        "factors, with the planted sign where one was planted. Where no liking is planted, as many "
        "chosen answers are longer as are shorter. Training on right answers alone makes the model "
        "write shorter all the same (it learns to say a noun at once, without an adjective before "
        "it), and its score says so: what was planted is therefore read against that arm.",
    )


def _claims() -> tuple[Claim, ...]:
    preferred, written = "length, model's preferences", "length, what it writes"
    claims = []
    for arm in (LONGER, SHORTER):
        claims += [
            _planted(arm, f"the model's score has that sign {source}", quantity)
            for quantity, source in (
                (preferred, "by its preferences"),
                (written, "by what it writes"),
            )
        ]
        # What is written is compared by its words: scores of both arms are near their end of -1.
        claims += [
            _planted(arm, f"the planting moves the {name} that way", quantity, than=RIGHT)
            for quantity, name in ((preferred, "score"), ("words written", "words"))
        ]
    claims += [
        Claim(f"{arm}: found in every seed", "length found", higher=arm, than=0.5)
        for arm in (LONGER, SHORTER)
    ]
    claims += [
        Claim(f"{arm}: in their labels it is found in no seed", partial(_not_found, arm), than=0.5)
        for arm in (RIGHT, COINS)
    ]
    half = f"{COINS}: the score is less than half of a planted one"
    return (*claims, Claim(half, partial(_less_than_half, preferred)))


def _planted(arm: str, says: str, quantity: str, than: str | float = 0.0) -> Claim:
    """Claim that a quantity goes the way that was planted."""
    statement = f"{arm}: {says}"
    if arm == LONGER:
        return Claim(statement, quantity, higher=arm, than=than)
    return Claim(statement, quantity, lower=arm, than=than)


def _not_found(arm: str, seed: Measured) -> float:
    found = seed[arm]["length found in labels"]
    return found.complement() if isinstance(found, Share) else 1 - found


def _less_than_half(quantity: str, seed: Measured) -> float:
    """Return by how much coins' score is under half of the smaller planted one."""
    planted = min(abs(seed[arm][quantity]) for arm in (LONGER, SHORTER))
    return planted / 2 - abs(seed[COINS][quantity])


def _measure(seed: int) -> Measured:
    start = start_model(seed)
    prompts = draw_prompts(4 * (PAIRS + HELD_OUT), seed + 100)
    drawn = sample(start, prompts, 2, seed + 1)
    pairs = _comparable(prompts, [row[0] for row in drawn], [row[1] for row in drawn])
    held_out, learn = pairs[:HELD_OUT], pairs[HELD_OUT:]
    fresh = draw_prompts(WRITTEN, seed + 200)
    before = sample(start, fresh, 1, seed + 2)
    return {
        arm: _arm(start, learn, held_out, (fresh, before), voters, seed)
        for arm, voters in ARMS.items()
    }


def _arm(
    start: Any,
    learn: Sequence[Pair],
    held_out: Sequence[Pair],
    written: tuple[Sequence[Tokens], Sequence[Sequence[Tokens]]],
    voters: tuple[float, float],
    seed: int,
) -> dict[str, float]:
    """Train by one kind of voters; scores of length, and whether it was found."""
    labelled, liking = _vote(learn, voters, seed + 3), voters[1]
    chosen = labelled[:PAIRS] if liking else _balanced(labelled)
    policy = clone(start)
    batches = minibatches(_examples(chosen), BATCH, seed, EPOCHS)
    train(
        policy, "dpo", batches, reference=start, options={"beta": BETA}, steps=len(batches), lr=RATE
    )
    return _profile(start, policy, _vote(held_out, voters, seed + 4), written, liking, seed)


def _profile(
    start: Any,
    policy: Any,
    held_out: Sequence[Pair],
    written: tuple[Sequence[Tokens], Sequence[Sequence[Tokens]]],
    liking: float,
    seed: int,
) -> dict[str, float]:
    gaps = (_gaps(policy, held_out) - _gaps(start, held_out)).numpy()
    compared = compare_factors(_differences(held_out), np.ones(len(held_out)), gaps)
    place = list(FACTORS).index("length")
    score = compared.second.scores[place].estimate
    prompts, before = written
    after = sample(policy, prompts, 1, seed + 2)
    wrote = _comparable(prompts, [row[0] for row in after], [row[0] for row in before])
    generated = score_factors(_differences(wrote), np.ones(len(wrote)))
    found = bool(holm(compared.second.p_values)[place])
    return {
        "length, labels": compared.first.scores[place].estimate,
        "length, model's preferences": score,
        "length, what it writes": generated.scores[place].estimate,
        "words written": sum(len(row[0]) - 1 for row in after) / len(after),
        "length found": Share(int(found and (not liking or score * liking > 0)), 1),
        "length found in labels": Share(int(holm(compared.first.p_values)[place]), 1),
        "orders of factors, Kendall's tau": compared.agreement.estimate,
    }


def _comparable(
    prompts: Sequence[Tokens], first: Sequence[Tokens], second: Sequence[Tokens]
) -> list[Pair]:
    """Return different grammatical answers that name as many objects as the prompt lists."""

    def fits(prompt: Tokens, answer: Tokens) -> bool:
        return is_grammatical(answer) and len(nouns_of(answer)) == len(objects_of(prompt))

    return [
        (prompt, answer, another)
        for prompt, answer, another in zip(prompts, first, second, strict=True)
        if answer != another and fits(prompt, answer) and fits(prompt, another)
    ]


def _differences(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the first minus second answer by factor, `[n, factors]`."""
    rows = [
        [of(prompt, first) - of(prompt, second) for of in FACTORS.values()]
        for prompt, first, second in pairs
    ]
    return np.array(rows, np.float64).reshape(-1, len(FACTORS))


def _vote(pairs: Sequence[Pair], voters: tuple[float, float], seed: int) -> list[Pair]:
    """Return pairs with the answer first that one voter prefers, by Bradley-Terry."""
    draw, (sharpness, liking) = random.Random(seed), voters
    labelled = []
    for prompt, first, second in pairs:
        gain = sharpness * (accuracy(prompt, first) - accuracy(prompt, second))
        gain += liking * (len(first) - len(second))
        wins = draw.random() < 1 / (1 + math.exp(-gain))
        labelled.append((prompt, first, second) if wins else (prompt, second, first))
    return labelled


def _balanced(pairs: Sequence[Pair]) -> list[Pair]:
    """Return as many pairs whose chosen answer is longer as ones where it is shorter."""
    sides: dict[int, list[Pair]] = {-1: [], 0: [], 1: []}
    for pair in pairs:
        sides[int(np.sign(len(pair[1]) - len(pair[2])))].append(pair)
    ties = sides[0][: PAIRS // 4]
    each = min((PAIRS - len(ties)) // 2, len(sides[1]), len(sides[-1]))
    return [*sides[1][:each], *sides[-1][:each], *ties]


def _examples(pairs: Sequence[Pair]) -> list[Example]:
    return [
        Example("comparison", (TokenTree(prompt, (chosen, rejected)),), index)
        for index, (prompt, chosen, rejected) in enumerate(pairs)
    ]


def _gaps(model: Any, pairs: Sequence[Pair]) -> torch.Tensor:
    """Return the log-probability of the first answer minus that of the second, float64 `[n]`."""
    trees = [TokenTree(prompt, (first, second)) for prompt, first, second in pairs]
    totals = score_all(model, trees).sum().double().cpu()
    return totals[0::2] - totals[1::2]
