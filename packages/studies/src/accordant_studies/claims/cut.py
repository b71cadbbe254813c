"""S29: contrastive unlikelihood on judgments that name an answer's wrong words.

Knows the laboratory. A small transformer writes as its fallible teacher did, and has learnt what a
judgment means from the teacher's judged answers, as an instructed model knows what criticism is.
Then its own answers to new prompts are judged by a program, once, and every condition is trained on
the same judged answers by the same steps: the conditions are one objective at three thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from accordant.objectives.kinds.judgment import JudgmentScores
from accordant.objectives.losses.token import complained_of
from accordant.objectives.registry import get_objective
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant.training.learner import Learner
from accordant_studies.laboratory import language
from accordant_studies.laboratory.language import Tokens
from accordant_studies.laboratory.trainer import fine_tuned
from accordant_studies.laboratory.transformer import (
    FALLIBLE,
    Schooling,
    Shape,
    imitate,
    mean_gold,
    sample,
    start_model,
)
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(5)
SHAPE = Shape(width=64, layers=2)
READING = 2000  # judged answers of the teacher
JUDGED = 600  # judged answers of the model itself
HELD_OUT = 128  # of the 512 prompts, to measure on; judged answers are to the others
STEPS, BATCH, LR = 60, 64, 1e-3
THRESHOLD = 1.1
# Where no token exceeds the threshold all are imitated; where all do, whole answers are unlearnt.
CONDITIONS = {"cut": THRESHOLD, "imitation": 1e9, "plain unlikelihood": 1e-9}
KEPT = 0.1  # nats per token the words that were right may lose


def study() -> Study:
    """Learn from judgments by token, from none of them, and by whole answers."""
    wrong, right, plain = "wrong words", "log-prob of right words", "plain unlikelihood"
    return Study(
        _measure,
        SEEDS,
        (
            Claim("cut lowers the wrong words", wrong, lower="cut", than="start"),
            Claim(
                "below what imitation of the same answers leaves",
                wrong,
                lower="cut",
                than="imitation",
            ),
            Claim("it keeps the other words", right, higher="cut", than="start", by=-KEPT),
            Claim("better than plain unlikelihood keeps them", right, higher="cut", than=plain),
            Claim(
                "its answers are better than plain unlikelihood's", "gold", higher="cut", than=plain
            ),
        ),
        units={right: "nats", "gold": "reward"},
        note=f"'wrong words' are rude adjectives and nouns out of place, per noun. {JUDGED} judged "
        f"answers, {STEPS} steps of {BATCH}. 'log-prob of right words' is that of the other words "
        "of held-out answers judged bad. 'flags, F1' compares the tokens flagged in them with the "
        "wrong ones. Imitation and plain unlikelihood are cut at a threshold no token and every "
        "token of a bad answer exceeds.",
    )


def _measure(seed: int) -> Measured:
    start = _reader(seed)
    prompts, pool = language.split_prompts(HELD_OUT, seed)
    judged = _judge_own(start, language.draw_from(pool, JUDGED, seed + 10), seed + 11)
    held_out = _judge_own(start, [*prompts, *prompts], seed + 20)
    measured = {"start": _quantities(start, prompts, held_out, seed)}
    for name, threshold in CONDITIONS.items():
        options = {"threshold": threshold}
        policy = fine_tuned(
            start, "cut", judged, seed, batch=BATCH, lr=LR, steps=STEPS, options=options
        )
        measured[name] = _quantities(policy, prompts, held_out, seed)
    return measured


def _reader(seed: int) -> Any:
    """Teach a model to write as its teacher, with and without a judgment of what is to come."""
    prompts = language.draw_prompts(READING, seed + 1)
    answers = language.write_all(prompts, FALLIBLE, seed + 2)
    judged = [_with_own_judgment(p, a) for p, a in zip(prompts, answers, strict=True)]
    model = start_model(seed, Schooling(), SHAPE)
    return imitate(model, [*judged, *prompts], [*answers, *answers], seed)


def _with_own_judgment(prompt: Tokens, answer: Tokens) -> Tokens:
    """Return the prompt with the judgment that names the answer's wrong words where they stand."""
    faults = language.wrong_words(prompt, answer)
    return language.with_judgment(
        prompt, [token for token, wrong in zip(answer, faults, strict=True) if wrong]
    )


def _judge_own(model: Any, prompts: Sequence[Tokens], seed: int) -> list[Example]:
    answers = [row[0] for row in sample(model, prompts, 1, seed)]
    return [
        Example(
            "judgment",
            (TokenTree(_with_own_judgment(p, a), (a,)), TokenTree(p, (a,))),
            index,
            label=not any(language.wrong_words(p, a)),
        )
        for index, (p, a) in enumerate(zip(prompts, answers, strict=True))
    ]


def _quantities(
    model: Any, prompts: Sequence[Tokens], held_out: Sequence[Example], seed: int
) -> dict[str, float]:
    answers = sample(model, prompts, 4, seed + 40)
    bad = [example for example in held_out if not example.label]
    scores = _scores(model, bad)
    wrong = torch.tensor(
        [
            fault
            for example in bad
            for fault in language.wrong_words(
                example.trees[1].prompt, example.trees[1].continuations[0]
            )
        ]
    )
    return {
        "wrong words": mean_gold(prompts, answers, _wrong_share),
        "log-prob of right words": float(scores.plain.policy.logps[~wrong].mean()),
        "flags, F1": _f1(complained_of(scores, THRESHOLD), wrong),
        "gold": mean_gold(prompts, answers, language.quality),
    }


def _scores(model: Any, examples: Sequence[Example]) -> JudgmentScores:
    with torch.no_grad():
        inputs = Learner(get_objective("cut"), {}, model).inputs(examples)
    assert isinstance(inputs, JudgmentScores)
    return inputs


def _wrong_share(prompt: Tokens, answer: Tokens) -> float:
    nouns = max(len(language.nouns_of(answer)), 1)
    return sum(language.wrong_words(prompt, answer)) / nouns


def _f1(flagged: Tensor, wrong: Tensor) -> float:
    both = float((flagged & wrong).sum())
    return 2 * both / max(float(flagged.sum() + wrong.sum()), 1.0)
