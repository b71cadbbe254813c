"""S02: thumbs up and thumbs down from two kinds of prompts, with and without matching them.

Knows the laboratory, and the vectors and ratios an align run weighs prompts by. A small transformer
describes what prompts list; thumbs up mostly come for prompts about the first half of all objects,
thumbs down for the second half, so the label can be told from the prompt. Which of two answers gets
the thumb is decided by gold alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from accordant.scoring.pooling import prompt_states
from accordant.statistics.density_ratios import estimate_density_ratios
from accordant.tokens.examples import Example, with_numbers
from accordant_studies.laboratory.language import OBJECTS, Tokens, make_prompt, quality
from accordant_studies.laboratory.trainer import fine_tuned
from accordant_studies.laboratory.transformer import (
    gold_win_rate,
    mean_gold,
    sample,
    start_model,
    thumbs,
)
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(4)
LISTED = 3  # objects of a prompt
RATE = 0.9  # share of one label's prompts that are of its own kind
EACH = 600  # thumbs of either label
EPOCHS = 2
HELD_OUT = 100  # prompts of either kind
KINDS = ("prompts of mostly thumbs up", "prompts of mostly thumbs down")
PLAIN, MATCHED, CLIPPED = (
    "without matching",
    "with matching",
    "with matching, ratios of at least 0.5",
)
CONDITIONS: dict[str, dict[str, float | bool]] = {
    PLAIN: {},
    # The true ratios are 9 and 1/9, which the default lets through and 0.5 does not.
    MATCHED: {"match_prompts": True},
    CLIPPED: {"match_prompts": True, "min_density_ratio": 0.5},
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Prompts with the label that one of their answers will get."""

    prompts: tuple[Tokens, ...]
    wanted: tuple[bool, ...]


def study() -> Study:
    """Train the same loss on the same thumbs with and without weights."""
    return Study(
        _measure,
        SEEDS,
        (
            Claim("matching beats no matching", "win rate", higher=MATCHED, than=PLAIN),
            Claim(
                "with matching the answers win over the start's",
                "win rate",
                higher=MATCHED,
                than=0.5,
            ),
            Claim(
                "matching saves answers to prompts that mostly got thumbs down",
                f"gold, {KINDS[1]}",
                higher=MATCHED,
                than=PLAIN,
            ),
        ),
        untested=("it beats KTO on thumbs of real users",),
        note=f"{EACH} thumbs of either label, {RATE:.0%} of a label's for its own kind of prompt, "
        f"{EPOCHS} passes. Win rates are by gold over the start's answers, on as many held-out "
        "prompts of one kind as of the other. The default lets ratios through down to 0.1; a "
        "smallest of 0.5 matches only in part where the true one is 1/9, and is shown beside it.",
    )


def _measure(seed: int) -> Measured:
    start = start_model(seed)
    asked = _ask(seed + 1)
    examples = _weighed(start, asked, _thumbs(start, asked, seed + 2), seed)
    draw = random.Random(seed + 3)
    tests = [[_prompt(kind, draw) for _ in range(HELD_OUT)] for kind in (0, 1)]
    before = [sample(start, prompts, 4, seed + 4) for prompts in tests]
    measured = {"start": _gold(tests, before)}
    for name, options in CONDITIONS.items():
        model = fine_tuned(
            start,
            "bco",
            examples,
            seed + 5,
            batch=64,
            epochs=EPOCHS,
            lr=3e-4,
            options={"beta": 0.1, **options},
        )
        after = [sample(model, prompts, 4, seed + 6) for prompts in tests]
        rates = [
            gold_win_rate(prompts, new, old, quality)
            for prompts, new, old in zip(tests, after, before, strict=True)
        ]
        measured[name] = {"win rate": sum(rates) / 2, **_gold(tests, after)}
    return measured


def _gold(
    tests: Sequence[Sequence[Tokens]], answers: Sequence[Sequence[Sequence[Tokens]]]
) -> dict[str, float]:
    return {
        f"gold, {kind}": mean_gold(prompts, given, quality)
        for kind, prompts, given in zip(KINDS, tests, answers, strict=True)
    }


def _ask(seed: int) -> Asked:
    """Return prompts for thumbs of either label, most of the label's own kind."""
    draw = random.Random(seed)
    wanted = (True,) * EACH + (False,) * EACH
    kinds = [int((draw.random() < RATE) != label) for label in wanted]
    return Asked(tuple(_prompt(kind, draw) for kind in kinds), wanted)


def _prompt(kind: int, draw: random.Random) -> Tokens:
    """Return a prompt about the first half of all objects, or about the second."""
    half = OBJECTS // 2
    return make_prompt(draw.randrange(half) + kind * half for _ in range(LISTED))


def _thumbs(start: nn.Module, asked: Asked, seed: int) -> list[Example]:
    """Label the better of two answers of the start thumbs up, or the worse thumbs down."""
    answers = []
    for prompt, pair, up in zip(
        asked.prompts, sample(start, asked.prompts, 2, seed), asked.wanted, strict=True
    ):
        ranked = sorted(pair, key=lambda answer: quality(prompt, answer), reverse=True)
        answers.append(ranked[0] if up else ranked[1])
    return thumbs(asked.prompts, answers, asked.wanted)


def _weighed(
    start: nn.Module, asked: Asked, examples: Sequence[Example], seed: int
) -> list[Example]:
    """Return the examples with density ratios, as an align run estimates them from the start."""
    numbers = {prompt: n for n, prompt in enumerate(dict.fromkeys(asked.prompts))}
    rows = [numbers[prompt] for prompt in asked.prompts]
    vectors = prompt_states(start, list(numbers)).double().numpy()[rows]
    ratios = estimate_density_ratios(vectors, asked.wanted, rows, vectors[:0], seed=seed)
    return [
        with_numbers(example, "prompt_weight", (ratio,))
        for example, ratio in zip(examples, ratios.train, strict=True)
    ]
