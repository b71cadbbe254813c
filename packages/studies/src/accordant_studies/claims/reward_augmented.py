"""S61: dpo on comparisons under goals against dpo on the same comparisons.

Knows the laboratory and the project's own relabelling. A small transformer's answers are graded by
a gold program on five steps, as a judge grades on a scale. dpo sees which of two answers is better;
augmented, it sees every comparison under the goal of either grade, and is asked for the best one.
Both take as many passes over the comparisons. The start model has met goals and makes nothing of
them, so the answers that are compared are its own whatever the goal.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

from accordant.feedback.records import Comparison, Text
from accordant.feedback.relabelling import augment_with_rewards
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant_studies.laboratory import language
from accordant_studies.laboratory.language import GOALS, Tokens
from accordant_studies.laboratory.trainer import fine_tuned
from accordant_studies.laboratory.transformer import (
    FALLIBLE,
    Schooling,
    Shape,
    imitate,
    mean_gold,
    sample,
    score_answers,
    start_model,
)
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(5)
SHAPE = Shape(width=64, layers=2)
SHOWN = 2000  # prompts with a goal that meant nothing
PAIRS = 2000
STEPS, BATCH, LR, BETA = 200, 64, 1e-4, 1.0  # steps on plain comparisons, about seven passes
HELD_OUT = 128  # of the 512 prompts, to measure on; pairs are of the others
GOOD = 3  # grade from which on a rejected answer is a good one
DPO, AUGMENTED = "dpo", "reward-augmented dpo"


def study() -> Study:
    """Train on comparisons as they are and under goals."""
    return Study(
        _measure,
        SEEDS,
        (
            Claim("augmented dpo beats dpo", "gold", higher=AUGMENTED, than=DPO),
            Claim(
                "it unlearns good rejected answers less",
                "good ones rejected",
                higher=AUGMENTED,
                than=DPO,
            ),
            Claim(
                "it has learnt what grades mean",
                "gold",
                higher=AUGMENTED,
                than=(AUGMENTED, "gold, lowest goal"),
                control=True,
            ),
        ),
        units={"gold": "reward", "gold, lowest goal": "reward"},
        note=f"{PAIRS} pairs of the start model's answers, graded in {GOALS} steps; {STEPS} steps "
        f"of {BATCH} for dpo and twice as many on twice the comparisons, beta {BETA:g}. 'good ones "
        "rejected' is the change of the log-probability, as asked for the best, of answers that "
        "were rejected although their grade was among the two highest. Grades are learnt, but they "
        "do not pay here, and this seems to be why: what makes an answer better is the same at "
        "every grade, so dpo is not misled by comparisons of two poor or two good answers, and "
        "unlearns no good ones; while under goals every comparison is seen both ways round, and "
        "all that remains to learn from is how the two goals differ. Tried as well, with dpo ahead "
        "each time: betas from 0.1 to 3, three times the rate, up to 800 steps, start models that "
        "have never met a goal and that can read goals.",
    )


def _measure(seed: int) -> Measured:
    start = _start(seed)
    prompts, pool = language.split_prompts(HELD_OUT, seed)
    records = _graded_pairs(start, pool, seed)
    plain = [_example(record, index) for index, record in enumerate(records)]
    augmented = augment_with_rewards(records)
    under_goals = [_example(record, index) for index, record in enumerate(augmented.records)]
    best = int(augmented.best)
    asked = [language.with_goal(prompt, best) for prompt in prompts]
    lowest = [language.with_goal(prompt, 0) for prompt in prompts]
    pace: dict[str, Any] = {"batch": BATCH, "lr": LR, "options": {"beta": BETA}}
    dpo = fine_tuned(start, "dpo", plain, seed, steps=STEPS, **pace)
    goals = fine_tuned(start, "dpo", under_goals, seed, steps=2 * STEPS, **pace)
    return {
        "start": {"gold": _gold(start, prompts, seed)},
        DPO: {
            "gold": _gold(dpo, prompts, seed),
            "good ones rejected": _unlearnt(dpo, start, records, None),
        },
        AUGMENTED: {
            "gold": _gold(goals, asked, seed),
            "good ones rejected": _unlearnt(goals, start, records, best),
            "gold, lowest goal": _gold(goals, lowest, seed),
        },
    }


def _start(seed: int) -> Any:
    """Return a model that writes as its teacher, whatever the goal before the objects."""
    prompts = language.draw_prompts(SHOWN, seed + 1)
    answers = language.write_all(prompts, FALLIBLE, seed + 2)
    draw = random.Random(seed + 3)
    aimed = [language.with_goal(prompt, draw.randrange(GOALS)) for prompt in prompts]
    model = start_model(seed, Schooling(), SHAPE)
    return imitate(model, [*aimed, *prompts], [*answers, *answers], seed, batch=BATCH)


def _graded_pairs(model: Any, pool: Sequence[Tokens], seed: int) -> list[Comparison]:
    """Return comparisons of the model's own answers by gold, graded from 0 to `GOALS` - 1."""
    prompts = language.draw_from(pool, PAIRS, seed + 10)
    answers = sample(model, prompts, 2, seed + 11)
    golds = [[language.quality(p, a) for a in row] for p, row in zip(prompts, answers, strict=True)]
    steps = quantiles([gold for row in golds for gold in row], n=GOALS)
    records = []
    for prompt, row, gold in zip(prompts, answers, golds, strict=True):
        if gold[0] == gold[1]:
            continue
        (better, chosen), (worse, rejected) = sorted(zip(gold, row, strict=True), reverse=True)
        grades = (float(bisect_right(steps, better)), float(bisect_right(steps, worse)))
        records.append(Comparison(_text(prompt), _text(chosen), _text(rejected), rewards=grades))
    return records


def _example(record: Comparison, index: int) -> Example:
    """Return a comparison in tokens; a goal in words becomes the little language's goal."""
    answers = (_tokens(record.chosen), _tokens(record.rejected))
    return Example("comparison", (TokenTree(_prompt(record.prompt), answers),), index)


def _prompt(text: Text) -> Tokens:
    goal, _, question = str(text).rpartition("\n\n")
    prompt = _tokens(question)
    return language.with_goal(prompt, int(re.findall(r"\d+", goal)[0])) if goal else prompt


def _text(tokens: Tokens) -> str:
    return " ".join(map(str, tokens))


def _tokens(text: Text) -> Tokens:
    return tuple(map(int, str(text).split()))


def _gold(model: Any, prompts: Sequence[Tokens], seed: int) -> float:
    return mean_gold(prompts, sample(model, prompts, 2, seed + 40), language.quality)


def _unlearnt(model: Any, start: Any, records: Sequence[Comparison], goal: int | None) -> float:
    """Return the change of the mean log-probability of good answers that were rejected."""
    good = [r for r in records if r.rewards is not None and r.rewards[1] >= GOOD]
    plain = [_tokens(record.prompt) for record in good]
    asked = plain if goal is None else [language.with_goal(prompt, goal) for prompt in plain]
    answers = [[_tokens(record.rejected)] for record in good]
    before = score_answers(start, plain, answers).sum()
    return float((score_answers(model, asked, answers).sum() - before).mean())
