"""S40: LiPO's lambda weights against pairwise losses, on lists of eight answers.

Knows the laboratory. A small transformer's own answers are ranked by a gold program; all losses
learn from the same lists with the same reference, beta, rate and number of passes. They are
compared twice, on prompts that are neither trained on nor stopped by: each where it is best, and
all at the same distance from the start, read off the looks on the way.

Lambda weights beat pairs of the best and the worst answer, and not losses on every pair: they buy
the same gold at a greater distance. Gold is a mean over answers here and lists hold few values, so
that which answer is at the very top, what the weights care for, is worth little by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accordant.tokens.examples import Example
from accordant_studies.laboratory import exact
from accordant_studies.laboratory.language import Tokens, quality, split_prompts
from accordant_studies.laboratory.training import minibatches, train
from accordant_studies.laboratory.transformer import (
    clone,
    gold_comparisons,
    gold_rankings,
    gold_win_rate,
    mean_gold,
    sample,
    score_answers,
    start_model,
)
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(6)
LENGTH = 8
DRAWN = 14  # answers drawn of a prompt, to find enough that differ
TESTS, VALIDATION = 128, 64  # of the 512 prompts; the others are trained on
EPOCHS, BATCH, RATE = 6, 32, 1e-4
EVERY = 8  # steps between looks
BETA = 0.05
DISTANCE = 1.0  # KL from the start in nats
LAMBDA, EVERY_PAIR, ONE_PAIR = "lambda", "logistic, every pair", "dpo, best and worst"
HINGE = "hinge, every pair"
OBJECTIVES = {
    LAMBDA: "lipo_lambda",
    EVERY_PAIR: "lipo_pairwise",
    HINGE: "lipo_hinge",
    ONE_PAIR: "dpo",
}


def study() -> Study:
    """Train the family on the same lists."""
    return Study(
        _measure,
        SEEDS,
        (
            *(
                Claim(
                    f"lambda weights beat {other}: {quantity}", quantity, higher=LAMBDA, than=other
                )
                for other, quantity in (
                    (EVERY_PAIR, "win rate"),
                    (EVERY_PAIR, _AT),
                    (HINGE, "win rate"),
                    (HINGE, _AT),
                    (ONE_PAIR, "win rate"),
                )
            ),
        ),
        units={"KL": "nats"},
        note=f"Lists of {LENGTH} answers, {EPOCHS} passes at rate {RATE:g} and beta {BETA:g}; dpo "
        "gets the best and the worst answer of each list. 'win rate' (by gold, over the start's "
        f"answers), 'gold' and 'KL' are of the best look by gold on {VALIDATION} prompts, there "
        f"is one every {EVERY} steps; 'gold at {DISTANCE:g} nats' is read between looks. All are "
        f"measured on {TESTS} further prompts that nothing after the start was trained on.",
    )


_AT = f"gold at {DISTANCE:g} nats"


@dataclass(frozen=True, slots=True)
class _Prompts:
    """Prompts by their use, and the start's answers to the tests."""

    tests: Sequence[Tokens]
    validation: Sequence[Tokens]
    before: Sequence[Sequence[Tokens]]


@dataclass(frozen=True, slots=True)
class _Look:
    """What a policy on the way has: gold on validation prompts, the rest on test prompts."""

    validation: float
    gold: float
    kl: float
    win_rate: float


def _measure(seed: int) -> Measured:
    start = start_model(seed)
    tests, rest = split_prompts(TESTS, seed)
    given = _Prompts(tests, rest[:VALIDATION], sample(start, tests, 8, seed + 2))
    lists, pairs = _data(start, rest[VALIDATION:], seed + 3)
    measured = {"start": {"gold": mean_gold(tests, given.before, quality)}}
    for name, objective in OBJECTIVES.items():
        looks = _looks(start, objective, pairs if objective == "dpo" else lists, given, seed)
        best = max(looks[1:], key=lambda look: look.validation)
        measured[name] = {
            "gold": best.gold,
            "KL": best.kl,
            "win rate": best.win_rate,
            _AT: exact.at_distance(((look.kl, look.gold) for look in looks), DISTANCE),
        }
    return measured


def _looks(
    start: Any, objective: str, examples: Sequence[Example], given: _Prompts, seed: int
) -> list[_Look]:
    """Train, and look at the policy on the way; the first look is at the start."""
    policy, looks = clone(start), list[_Look]()

    def watch(step: int) -> dict[str, float]:  # noqa: ARG001 - looks come every so many steps
        looks.append(_look(policy, start, given, seed))
        return {}

    batches = minibatches(examples, BATCH, seed, EPOCHS)
    options = {"beta": BETA}
    train(
        policy,
        objective,
        batches,
        steps=len(batches),
        lr=RATE,
        reference=start,
        options=options,
        watch=watch,
        every=EVERY,
    )
    return looks


def _look(policy: Any, start: Any, given: _Prompts, seed: int) -> _Look:
    answers = sample(policy, given.tests, 8, seed + 5)
    ratios = [score_answers(model, given.tests, answers).sum() for model in (policy, start)]
    chosen = mean_gold(given.validation, sample(policy, given.validation, 8, seed + 7), quality)
    return _Look(
        validation=chosen,
        gold=mean_gold(given.tests, answers, quality),
        kl=float((ratios[0] - ratios[1]).mean()),
        win_rate=gold_win_rate(given.tests, answers, given.before, quality),
    )


def _data(
    start: Any, prompts: Sequence[Tokens], seed: int
) -> tuple[Sequence[Example], Sequence[Example]]:
    """Return lists of so many different answers, and their ends; prompts without are left out."""
    rows = [list(dict.fromkeys(row)) for row in sample(start, prompts, DRAWN, seed)]
    enough = [(p, row[:LENGTH]) for p, row in zip(prompts, rows, strict=True) if len(row) >= LENGTH]
    kept, answers = [prompt for prompt, _ in enough], [row for _, row in enough]
    return gold_rankings(kept, answers, quality), gold_comparisons(kept, answers, quality)
