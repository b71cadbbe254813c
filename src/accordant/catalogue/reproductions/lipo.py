"""S40: LiPO's lambda weights against pairwise losses, on lists of eight answers.

Knows the laboratory. A small transformer's own answers are ranked by a gold program; all losses
learn from the same lists with the same reference, beta, rate and number of passes, and all are
stopped where they are best. The losses come close to each other here: the differences between
seeds, in which some runs lose grammar early, are larger than those between losses. At this beta
and length the scores of a list differ by 0.1 to 0.2 (median), where logistic and hinge losses are
nearly the same straight line: what they do to the weights has a cosine of 0.996 (one seed).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from accordant.catalogue.laboratory.language import draw_prompts, quality
from accordant.catalogue.laboratory.study import Measured, Study, repeat
from accordant.catalogue.laboratory.training import minibatches, train
from accordant.catalogue.laboratory.transformer import (
    clone,
    gold_comparisons,
    gold_rankings,
    gold_win_rate,
    mean_gold,
    sample,
    start_model,
)
from accordant.catalogue.reproduce import Check, Reproduction, beats
from accordant.data.examples import Example

SEEDS = (0, 1, 2, 3)
LENGTH = 8
DRAWN = 14  # answers drawn of a prompt, to find enough that differ
PROMPTS = 500
EPOCHS = 2
STOPS = 4  # where a run is looked at; the best of them by other prompts is kept
RATE = 1e-4  # at three times as much some of the losses fall again before the second pass is over
BETA = 0.05
HELD_OUT = 200
VALIDATION = 100
LAMBDA, EVERY_PAIR, ONE_PAIR = "lambda", "logistic, every pair", "dpo, best and worst"
HINGE = "hinge, every pair"
OBJECTIVES = {
    LAMBDA: "lipo_lambda",
    EVERY_PAIR: "lipo_pairwise",
    HINGE: "lipo_hinge",
    ONE_PAIR: "dpo",
}


def reproduce(seeds: tuple[int, ...] | None) -> Reproduction:
    """Train the family on the same lists."""
    study = repeat(_measure, seeds or SEEDS)
    return Reproduction(
        study.rows(),
        _checks(study),
        study.seeds,
        note=f"{PROMPTS} prompts with {LENGTH} answers each, {EPOCHS} passes at rate {RATE:g} and "
        f"beta {BETA:g}, the best of {STOPS} stops by gold on other prompts; dpo gets the best and "
        "the worst answer of each list. Win rates are by gold over the start's answers to "
        f"{HELD_OUT} prompts drawn anew; there are 512, so that many of them were trained on.",
    )


def _checks(study: Study) -> tuple[Check, ...]:
    def over(other: str, quantity: str) -> Check:
        return beats(
            f"lambda weights beat {other}: {quantity}",
            study.values(LAMBDA, quantity),
            study.values(other, quantity),
        )

    return (
        over(EVERY_PAIR, "win rate"),
        over(EVERY_PAIR, "gold"),
        over(HINGE, "win rate"),
        over(ONE_PAIR, "win rate"),
    )


def _measure(seed: int) -> Measured:
    start = start_model(seed)
    tests = draw_prompts(HELD_OUT, seed + 1)
    before = sample(start, tests, 4, seed + 2)
    found = {"start": {"gold": mean_gold(tests, before, quality)}}
    lists, pairs = _data(start, seed + 3)
    for name, objective in OBJECTIVES.items():
        model = _best(start, objective, pairs if objective == "dpo" else lists, seed)
        after = sample(model, tests, 4, seed + 5)
        found[name] = {
            "gold": mean_gold(tests, after, quality),
            "win rate": gold_win_rate(tests, after, before, quality),
        }
    return found


def _best(start: nn.Module, objective: str, examples: Sequence[Example], seed: int) -> nn.Module:
    """Train, and keep the stop whose answers to validation prompts have the most gold."""
    model, kept, most = clone(start), clone(start), -float("inf")
    batches = minibatches(examples, 32, seed, EPOCHS)
    prompts = draw_prompts(VALIDATION, seed + 6)
    size = -(-len(batches) // STOPS)

    def watch(step: int) -> dict[str, float]:
        nonlocal kept, most
        gold = mean_gold(prompts, sample(model, prompts, 4, seed + 7), quality)
        if step and gold > most:
            kept, most = clone(model), gold
        return {"gold": gold}

    train(
        model,
        objective,
        batches,
        steps=len(batches),
        lr=RATE,
        reference=start,
        options={"beta": BETA},
        watch=watch,
        every=size,
    )
    return kept


def _data(start: nn.Module, seed: int) -> tuple[Sequence[Example], Sequence[Example]]:
    """Lists of so many different answers, and their ends; prompts without are left out."""
    prompts = draw_prompts(PROMPTS, seed)
    rows = [list(dict.fromkeys(row)) for row in sample(start, prompts, DRAWN, seed + 1)]
    enough = [(p, row[:LENGTH]) for p, row in zip(prompts, rows, strict=True) if len(row) >= LENGTH]
    kept, answers = [prompt for prompt, _ in enough], [row for _, row in enough]
    return gold_rankings(kept, answers, quality), gold_comparisons(kept, answers, quality)
