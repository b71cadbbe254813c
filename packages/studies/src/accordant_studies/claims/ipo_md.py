"""S60: online IPO and IPO-MD on games with a cyclic preference.

Knows the laboratory and the product's loop: answers are sampled, labels are drawn and the recipe
is the one that users run. Answers have one token, so that mixing tokens is mixing answers; policies
are tables, so that the Nash policy and exploitability are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from accordant.loops import Draw, Recipe, find_recipe
from accordant.rewards.reward import Answer
from accordant_studies.laboratory import exact, worlds
from accordant_studies.laboratory.recipes import follow
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(8)
ANSWERS, TAU, SHARE = 5, 0.1, 0.25
ROUNDS, PAIRS, RATE = 600, 32, 0.02
TAU_OF_THREE = 0.05  # three answers in a circle: where momentum is tried
START, ONLINE, MIXED = "reference", "online IPO", "IPO-MD, mixture"
OFFLINE, DPO, MOMENTUM = "IPO on the reference's pairs", "online DPO", "online IPO, momentum 0.9"
GAIN, DISTANCE, OF_THREE = "exploitability", "KL to Nash", "KL to Nash, three answers"


def study() -> Study:
    """Play games without a best answer and measure how far from the Nash policy they end."""
    return Study(
        _measure,
        SEEDS,
        (
            Claim("online IPO is less exploitable than online DPO", GAIN, lower=ONLINE, than=DPO),
            Claim("and than IPO on the reference's pairs", GAIN, lower=ONLINE, than=OFFLINE),
            Claim("it ends at the Nash policy", DISTANCE, lower=ONLINE, than=0.01),
            Claim("as does IPO-MD's mixture at tau (1 - b)", DISTANCE, lower=MIXED, than=0.01),
            Claim("momentum keeps it from there", OF_THREE, higher=MOMENTUM, than=ONLINE),
        ),
        units={GAIN: "preference", DISTANCE: "nats", OF_THREE: "nats"},
        note=f"A new game of {ANSWERS} answers every seed, each preferred to the next two of a "
        f"circle; {ROUNDS} rounds of {PAIRS} sampled pairs, labels drawn; tau {TAU}, b {SHARE}. "
        f"The game of three answers has tau {TAU_OF_THREE}. Exploitability is what the best reply "
        "gains. It is not claimed that IPO-MD beats online IPO: at one strength both end alike.",
    )


@dataclass(frozen=True)
class Game:
    """A preference over answers of one token.

    Args:
        chances: that a row's answer is preferred to a column's, float64 `[1, answers, answers]`.
        reference: what the game is regularised towards, log-probs `[1, answers]`.
    """

    chances: Tensor
    reference: Tensor
    name: str = "game"

    def prefer(self, first: Sequence[Answer], second: Sequence[Answer]) -> NDArray[np.float64]:
        """Look the chances up."""
        rows, columns = ([int(answer.text) for answer in side] for side in (first, second))
        found: NDArray[np.float64] = self.chances[0, rows, columns].numpy()
        return found

    def play(self, recipe: Recipe, seed: int, momentum: float | None = None) -> Tensor:
        """Train by a recipe from the reference on, and return the policy's log-probs."""
        world = worlds.arms(self.reference.shape[1])
        start = worlds.TabularPolicy(world, self.reference[:, None])
        counts: dict[str, Any] = {"rounds": ROUNDS, "each": PAIRS, "lr": RATE}
        policy = follow(recipe, start, self, **counts, seed=seed, momentum=momentum)
        return policy.logps().detach()


def _measure(seed: int) -> Measured:
    game, recipe = _circle(seed), find_recipe("ipo_md")
    online = replace(recipe, draws=(Draw(2),), options={"tau": TAU})
    recipes = {
        ONLINE: online,
        MIXED: replace(recipe, draws=(Draw(2, SHARE),), options={"tau": TAU * (1 - SHARE)}),
        OFFLINE: replace(online, draws=(Draw(2, 1.0),)),
        DPO: replace(online, objective="dpo", options={"beta": TAU}),
    }
    ends = {name: game.play(recipes[name], seed) for name in recipes}
    mixed = (1 - SHARE) * ends[MIXED] + SHARE * game.reference
    ends |= {START: game.reference, MIXED: mixed.log_softmax(-1)}
    nash = exact.nash(game.reference, game.chances, TAU)
    measured = {
        name: {
            GAIN: exact.exploitability(end, game.reference, game.chances, TAU),
            DISTANCE: exact.kl(end, nash),
        }
        for name, end in ends.items()
    }
    three, weak = _three(), replace(online, options={"tau": TAU_OF_THREE})
    nash = exact.nash(three.reference, three.chances, TAU_OF_THREE)
    for name, momentum in ((ONLINE, None), (MOMENTUM, 0.9)):
        distance = exact.kl(three.play(weak, seed, momentum), nash)
        measured.setdefault(name, {})[OF_THREE] = distance
    return measured


def _circle(seed: int) -> Game:
    """Draw a game: logits of preference between 0.5 and 2.5 along the circle."""
    generator = torch.Generator().manual_seed(seed)
    ahead = (torch.arange(ANSWERS)[None] - torch.arange(ANSWERS)[:, None]) % ANSWERS
    strength = 0.5 + 2 * torch.rand(ANSWERS, ANSWERS, generator=generator, dtype=torch.float64)
    beats = torch.where((ahead > 0) & (ahead <= ANSWERS // 2), strength, 0.0)
    reference = torch.randn(1, ANSWERS, generator=generator, dtype=torch.float64)
    return Game((beats - beats.T).sigmoid()[None], reference.log_softmax(-1))


def _three() -> Game:
    chances = torch.tensor([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]], dtype=torch.float64)
    return Game(chances[None], torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64).log())
