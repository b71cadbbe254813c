"""S45: alignment fine-tuning with and without a constraint on wrong answers.

Knows the laboratory. A small transformer's own answers are right or wrong by a program; right ones
are imitated, wrong ones pushed below them. What wrong answers share with right ones is how to write
at all: an unconstrained push spoils that, and the share of grammatical answers tells.

Four and six seeds agree that the boundary takes nearly all of that harm away, and cannot tell
whether it takes all of it: what is left is within the tolerance, the end of its interval is not.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from accordant.catalogue.laboratory.language import (
    Tokens,
    accuracy,
    draw_prompts,
    is_grammatical,
    quality,
)
from accordant.catalogue.laboratory.study import Measured, Study, repeat
from accordant.catalogue.laboratory.training import minibatches, train
from accordant.catalogue.laboratory.transformer import (
    clone,
    demonstrations,
    gold_rankings,
    mean_gold,
    sample,
    start_model,
)
from accordant.catalogue.reproduce import Check, Reproduction, beats, not_worse
from accordant.data.examples import Example

SEEDS = (0, 1, 2, 3)
PROMPTS = 400
DRAWN = 6
EPOCHS = 3
HELD_OUT = 400  # four answers each: a loss of one in a hundred must be told from chance
MARGIN = 1.0
TOLERANCE = 0.01  # loss of grammatical answers that counts as none
IMITATION, FREE, BOUND, DETACHED = "imitation alone", "unconstrained", "boundary", "detached"
NARROW = "boundary, margin 0.15"
OPTIONS: dict[str, dict[str, str | float]] = {
    FREE: {"constraint": "none"},
    # A wrong noun costs an answer of this language most of a nat per token. A boundary nearer than
    # that lies above most wrong answers and raises them.
    BOUND: {"margin": MARGIN},
    NARROW: {},
    DETACHED: {"constraint": "detached"},
}


def reproduce(seeds: tuple[int, ...] | None) -> Reproduction:
    """Train on the same right and wrong answers with each constraint, and on right ones alone."""
    study = repeat(_measure, seeds or SEEDS)
    return Reproduction(
        study.rows(),
        _checks(study),
        study.seeds,
        note=f"{PROMPTS} prompts, up to {DRAWN} answers each, {EPOCHS} passes; the boundary lies "
        f"{MARGIN:g} nats per token under the worst right answer, as wrong ones of this language "
        "score that much less from the start. The default of 0.15, meant for long solutions whose "
        "scores lie close together, raises wrong answers here, and is shown beside it.",
    )


def _checks(study: Study) -> tuple[Check, ...]:
    def values(condition: str, quantity: str) -> list[float]:
        return study.values(condition, quantity)

    grammar, gold = "grammatical", "gold"
    return (
        beats(
            "unconstrained, answers get less grammatical than they were",
            values("start", grammar),
            values(FREE, grammar),
        ),
        not_worse(
            f"with the boundary they lose at most {TOLERANCE:g}",
            values(BOUND, grammar),
            values("start", grammar),
            TOLERANCE,
        ),
        beats("the boundary has more gold", values(BOUND, gold), values(FREE, gold)),
        beats(
            "and more right answers than the start",
            values(BOUND, "right"),
            values("start", "right"),
        ),
    )


def _measure(seed: int) -> Measured:
    start = start_model(seed)
    prompts = draw_prompts(PROMPTS, seed + 1)
    answers = sample(start, prompts, DRAWN, seed + 2)
    data = [e for e in gold_rankings(prompts, answers, _right) if len(set(e.rewards or ())) == 2]
    tests = draw_prompts(HELD_OUT, seed + 3)
    found = {"start": _seen(start, tests, seed + 4)}
    imitated = minibatches(_right_ones(data), 96, seed, EPOCHS)
    model = clone(start)
    train(model, "sft", imitated, steps=len(imitated), lr=3e-4)
    found[IMITATION] = _seen(model, tests, seed + 4)
    for name, options in OPTIONS.items():
        model = clone(start)
        batches = minibatches(data, 32, seed, EPOCHS)
        train(model, "aft", batches, steps=len(batches), lr=3e-4, options=options)
        found[name] = _seen(model, tests, seed + 4)
    return found


def _right(prompt: Tokens, answer: Tokens) -> float:
    """1 for a grammatical answer that names every object, else 0."""
    return float(is_grammatical(answer) and accuracy(prompt, answer) == 1)


def _right_ones(data: Sequence[Example]) -> list[Example]:
    """Every right answer as one to imitate."""
    pairs = [
        (example.trees[0].prompt, answer)
        for example in data
        for answer, reward in zip(
            example.trees[0].continuations, example.rewards or (), strict=True
        )
        if reward == 1
    ]
    return demonstrations([prompt for prompt, _ in pairs], [answer for _, answer in pairs])


def _seen(model: nn.Module, tests: Sequence[Tokens], seed: int) -> dict[str, float]:
    answers = sample(model, tests, 4, seed)
    return {
        "right": mean_gold(tests, answers, _right),
        "grammatical": mean_gold(tests, answers, lambda _, answer: float(is_grammatical(answer))),
        "gold": mean_gold(tests, answers, quality),
    }
