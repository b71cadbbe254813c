"""S25: DPO learns a margin and few rankings; a small transformer, voters, and held-out pairs.

Knows the laboratory and the check's formulas. Voters compare two samples of the start model by
Bradley-Terry on gold; DPO trains on the majorities until its loss on held-out pairs is lowest. The
ideal is DPO's optimum for the votes that were cast.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from accordant.checks.ranking import ideal_gaps, ranked_right, vote_shares
from accordant.scoring.engine import score_all
from accordant.statistics.estimates import area_under_curve
from accordant.tokens.examples import Example, with_numbers
from accordant.tokens.trees import TokenTree
from accordant_studies.laboratory.language import Tokens, draw_prompts, quality
from accordant_studies.laboratory.training import minibatches, train
from accordant_studies.laboratory.transformer import clone, sample, start_model
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(4)
PAIRS, HELD_OUT = 400, 300
VOTERS = 15
SHARPNESS = 2.0  # of the voters: gold is multiplied by it
BETA = 0.1
RATE = 1e-4
EPOCHS, BATCH = 6, 32
EVERY = 6  # steps between looks at the held-out pairs
FAR = 0.1  # what counts as far under the ideal, in shares of pairs
HELD = "held-out pairs"


def study() -> Study:
    """Train DPO on voted pairs and count the rankings it turns."""
    return Study(
        _measure,
        SEEDS,
        (
            Claim(
                "trained ranking accuracy stays more than 10 points under the ideal",
                "ranking accuracy, ideal",
                higher=HELD,
                than=(HELD, "ranking accuracy, trained"),
                by=FAR,
            ),
            Claim(
                "DPO's loss falls all the same",
                "loss, trained",
                lower=HELD,
                than=(HELD, "loss at the start"),
                control=True,
            ),
            Claim(
                "pairs that stay wrong are harder than those that turn (chance that one is)",
                "stay wrong are harder",
                higher=HELD,
                than=0.5,
            ),
            Claim(
                "of the pairs ranked wrong at first, most stay wrong",
                lambda seed: seed[HELD]["wrong at first that stay wrong"] - 0.5,
            ),
        ),
        units={"loss": "nats"},
        untested=("ranking accuracy and win rate go apart once the policy is far from its start",),
        note=f"{PAIRS} pairs to train on and {HELD_OUT} held out, {VOTERS} voters each, beta "
        f"{BETA}. All numbers are on held-out pairs where the loss on them is lowest. How hard a "
        "pair is: log ref(rejected) - log ref(chosen). The ideal ranking is that of DPO's optimum "
        "for the votes of each pair.",
    )


def _measure(seed: int) -> Measured:
    start = start_model(seed)
    examples = _voted_pairs(start, PAIRS + HELD_OUT, seed)
    learn, held_out = examples[:PAIRS], examples[PAIRS:]
    first = _gaps(start, held_out)
    best, trained = _train(start, learn, held_out, first, seed)
    shares = vote_shares([example.numbers.get("votes") for example in held_out])
    ideal = ideal_gaps(first, shares, BETA)
    wrong, stays = first < 0, (first < 0) & (trained <= 0)
    harder = area_under_curve(-first[stays], -first[wrong & ~stays])
    return {
        HELD: {
            "loss at the start": math.log(2),
            "loss, trained": best,
            "ranking accuracy, start": _accuracy(first),
            "ranking accuracy, trained": _accuracy(trained),
            "ranking accuracy, ideal": _accuracy(ideal),
            "reward accuracy, trained": _accuracy(trained - first),
            "wrong at first that stay wrong": float(stays.sum() / wrong.sum()),
            "stay wrong are harder": harder.estimate,
        }
    }


def _accuracy(gaps: Tensor) -> float:
    return float(ranked_right(gaps).mean())


def _gaps(model: Any, examples: Sequence[Example]) -> Tensor:
    """Return the log-probability of chosen minus rejected, float64 `[n]`."""
    totals = score_all(model, [example.trees[0] for example in examples]).sum().double()
    return totals[0::2] - totals[1::2]


def _train(
    start: Any, learn: Sequence[Example], held_out: Sequence[Example], first: Tensor, seed: int
) -> tuple[float, Tensor]:
    """Train a copy; the lowest loss on held-out pairs, and their gaps where it was reached."""
    policy = clone(start)
    batches = minibatches(learn, BATCH, seed, EPOCHS)
    seen: list[tuple[float, Tensor]] = []

    def watch(_: int) -> dict[str, float]:
        gaps = _gaps(policy, held_out)
        loss = float(torch.nn.functional.softplus(-BETA * (gaps - first)).mean())
        seen.append((loss, gaps))
        return {"loss": loss}

    train(
        policy,
        "dpo",
        batches,
        reference=start,
        options={"beta": BETA},
        steps=len(batches),
        lr=RATE,
        watch=watch,
        every=EVERY,
    )
    return min(seen, key=lambda look: look[0])


def _voted_pairs(model: Any, count: int, seed: int) -> list[Example]:
    """Return comparisons of two different samples, the majority's first, with their votes."""
    prompts = draw_prompts(2 * count, seed + 100)
    draw = random.Random(seed)
    examples: list[Example] = []
    for prompt, (first, second) in zip(prompts, sample(model, prompts, 2, seed), strict=True):
        if first != second and len(examples) < count:
            examples.append(_vote(prompt, first, second, len(examples), draw))
    if len(examples) < count:
        raise ValueError(f"{len(examples)} of {count} pairs of different answers")
    return examples


def _vote(
    prompt: Tokens, first: Tokens, second: Tokens, index: int, draw: random.Random
) -> Example:
    gap = SHARPNESS * (quality(prompt, first) - quality(prompt, second))
    chance = 1 / (1 + math.exp(-gap))
    won = sum(draw.random() < chance for _ in range(VOTERS))
    answers = (first, second)
    if 2 * won < VOTERS:
        answers, won = (second, first), VOTERS - won
    example = Example("comparison", (TokenTree(prompt, answers),), index)
    return with_numbers(example, "votes", (won, VOTERS - won))
