"""S19: length-normalised DPO against DPO, on all strings of three letters.

Knows the laboratory. Voters like what gold likes, and length for its own sake, so the chosen
answers are the longer ones; gold does not count length. Both losses run over a grid of the same
shape, and lengths are compared where the win rates are equal.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from accordant.tokens.examples import Example
from accordant_studies.laboratory import exact, labelling, worlds
from accordant_studies.laboratory.training import Batch, train
from accordant_studies.laboratory.worlds import TabularPolicy
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(8)
PAIRS = 300
STEPS = 300
EVERY = 10
LENGTH_BIAS = 0.3  # reward per letter
# For answers of n tokens ln_dpo is dpo at beta / n: the same grid, times the start's mean length.
BETAS = (0.05, 0.1, 0.2, 0.4, 0.8)
RATES = (0.01, 0.03)

History = list[dict[str, float]]


def study() -> Study:
    """Train both losses over the grid and compare lengths at equal win rates."""
    length = "letters at equal win rate"
    return Study(
        _measure,
        SEEDS,
        (
            Claim(
                "the chosen answers are the longer ones",
                "letters of the chosen",
                higher="data",
                than=("data", "letters of the rejected"),
                control=True,
            ),
            Claim(
                "ln_dpo answers with fewer letters than dpo at an equal win rate",
                length,
                lower="ln_dpo",
                than="dpo",
            ),
            Claim(
                "it is less sensitive: an unlucky cell of the grid costs less win rate",
                "best minus median",
                lower="ln_dpo",
                than="dpo",
            ),
        ),
        units={length: "letters"},
        note="Win rate is gold's, against the start, exact over all 1,093 answers. Equal means the "
        "lower of the two losses' best win rates; each is then read off its best run when that "
        "rate is first reached. The grid is beta times learning rate, with beta of ln_dpo scaled "
        "by the start's mean length. 'best minus median' is what an unlucky choice of cell costs.",
    )


def _measure(seed: int) -> Measured:
    world = worlds.strings(letters=3, longest=6, memory=1)
    good, bad = (
        torch.tensor([[answer.count(letter) for answer in world.answers]]).double()
        for letter in (0, 1)
    )
    gold = good.clamp(max=2) - bad
    letters = world.lengths.double().unsqueeze(0) - 1
    start = worlds.random_writer(world, seed, ending=-1.0)  # about four letters
    logps = start.logps().detach()
    pairs = labelling.draw_pairs(world, logps, PAIRS, seed + 1)
    votes = labelling.vote(pairs, gold + LENGTH_BIAS * letters, seed + 2)
    pairs = labelling.majority(pairs, votes, voters=1)
    examples = labelling.comparisons(world, pairs)
    tokens = exact.expectation(logps, letters) + 1
    runs = {
        "dpo": _grid(start, "dpo", BETAS, examples, gold, letters),
        "ln_dpo": _grid(start, "ln_dpo", [b * tokens for b in BETAS], examples, gold, letters),
    }
    equal = min(max(run[-1]["win"] for run in grid) for grid in runs.values())
    data = {
        "letters of the chosen": float(letters[0, pairs.first].mean()),
        "letters of the rejected": float(letters[0, pairs.second].mean()),
    }
    start_row = {"letters": exact.expectation(logps, letters)}
    return {
        "data": data,
        "start": start_row,
        **{name: _summary(grid, equal) for name, grid in runs.items()},
    }


def _grid(
    start: TabularPolicy,
    objective: str,
    betas: Sequence[float],
    examples: Sequence[Example],
    gold: Tensor,
    letters: Tensor,
) -> list[History]:
    wins = exact.chances_against(start.logps().detach(), exact.preference(gold, temperature=0))
    return [
        _run(start, objective, beta, rate, examples, wins, letters)
        for beta in betas
        for rate in RATES
    ]


def _run(
    start: TabularPolicy,
    objective: str,
    beta: float,
    rate: float,
    examples: Sequence[Example],
    wins: Tensor,
    letters: Tensor,
) -> History:
    policy = TabularPolicy(start.world, start.logits.detach())

    def watch(_: int) -> dict[str, float]:
        logps = policy.logps()
        return {"win": exact.expectation(logps, wins), "letters": exact.expectation(logps, letters)}

    return train(
        policy,
        objective,
        [Batch(examples)],
        reference=start,
        options={"beta": beta},
        steps=STEPS,
        lr=rate,
        watch=watch,
        every=EVERY,
    )


def _summary(grid: Sequence[History], equal: float) -> dict[str, float]:
    ends = [run[-1]["win"] for run in grid]
    best = grid[ends.index(max(ends))]
    median = statistics.median(ends)
    return {
        "letters at equal win rate": letters_when_reached(best, equal),
        "best win rate": max(ends),
        "median win rate": median,
        "best minus median": max(ends) - median,
    }


def letters_when_reached(run: History, win: float) -> float:
    """Return the mean letters where a run first reaches a win rate, interpolated."""
    for before, after in pairwise(run):
        if after["win"] >= win:
            share = (win - before["win"]) / (after["win"] - before["win"])
            return before["letters"] + share * (after["letters"] - before["letters"])
    raise ValueError(f"the run never reaches a win rate of {win}")
