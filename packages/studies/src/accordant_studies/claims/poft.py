"""S50: preference-oriented fine-tuning against imitation when demonstrations are corrupted.

Knows the laboratory. A small transformer learns to write politely from few demonstrations, for many
passes, starting from a fallible writer; the corrupted ones name wrong objects. The baselines
are two other fallible writers, taught apart: none of them has seen a demonstration. How much
corruption hurts is the accuracy lost between clean and corrupted demonstrations, per objective.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch

from accordant.scoring.engine import score
from accordant.tokens.examples import Example
from accordant_studies.laboratory import language
from accordant_studies.laboratory.language import Tokens, Writer
from accordant_studies.laboratory.trainer import fine_tuned
from accordant_studies.laboratory.transformer import (
    Schooling,
    Shape,
    demonstrations,
    mean_gold,
    sample,
    start_model,
)
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(12)
BASELINES = (100, 200)  # seeds of the baselines, the same for every seed of the study
SHAPE = Shape(width=64, layers=2)
DEMONSTRATIONS = 500
CORRUPTED = 0.3  # share of the demonstrations
STEPS, BATCH, LR = 100, 50, 1e-3  # ten passes
PROMPTS = 128  # of the 512, to measure on; demonstrations are of the others
POLITE = Writer(adjective=0.8, manners=(1.0, 0.0, 0.0))
CORRUPT = Writer(adjective=0.8, manners=(1.0, 0.0, 0.0), mistake=1.0)
OBJECTIVES = ("sft", "poft")
CLEAN, DIRTY = "clean", "corrupted"


def study() -> Study:
    """Fine-tune on clean and on corrupted demonstrations, by either objective."""
    return Study(
        _measure,
        SEEDS,
        (
            Claim(
                "corruption costs imitation accuracy",
                "accuracy",
                lower=f"sft, {DIRTY}",
                than=f"sft, {CLEAN}",
                control=True,
            ),
            Claim("it costs poft less accuracy", lambda seed: _spared(seed, "accuracy")),
            Claim("and less gold", lambda seed: _spared(seed, "gold")),
            Claim(
                "on corrupted demonstrations poft's answers are better",
                "gold",
                higher=f"poft, {DIRTY}",
                than=f"sft, {DIRTY}",
            ),
        ),
        units={"gold": "reward"},
        untested=("it combines with filtering of the data, and with DPO after it",),
        note=f"{DEMONSTRATIONS} demonstrations, {STEPS} steps of {BATCH}; {CORRUPTED:.0%} of them "
        "name only wrong objects where they are corrupted. 'weight of corrupted' is what poft's "
        "gradient gives a corrupted demonstration after training, over what it gives a clean one; "
        "imitation gives both the same.",
    )


def _spared(seed: Measured, quantity: str) -> float:
    """Say how much more imitation loses by corruption than poft."""
    sft, poft = (
        seed[f"{name}, {CLEAN}"][quantity] - seed[f"{name}, {DIRTY}"][quantity]
        for name in OBJECTIVES
    )
    return sft - poft


def _measure(seed: int) -> Measured:
    start = start_model(seed, Schooling(), SHAPE)
    baselines = [start_model(teacher, Schooling(), SHAPE) for teacher in BASELINES]
    prompts, pool = language.split_prompts(PROMPTS, seed)
    measured = {"start": _quantities(start, prompts, seed)}
    for kind, share in ((CLEAN, 0.0), (DIRTY, CORRUPTED)):
        examples, bad = _demonstrations(pool, share, seed)
        for objective in OBJECTIVES:
            given: dict[str, Any] = {"baselines": baselines} if objective == "poft" else {}
            policy = fine_tuned(
                start, objective, examples, seed, batch=BATCH, lr=LR, steps=STEPS, **given
            )
            measured[f"{objective}, {kind}"] = _quantities(policy, prompts, seed)
            if objective == "poft" and kind == DIRTY:
                weight = _relative_weight(policy, baselines, examples, bad)
                measured[f"{objective}, {kind}"]["weight of corrupted"] = weight
    return measured


def _demonstrations(
    pool: Sequence[Tokens], share: float, seed: int
) -> tuple[list[Example], list[bool]]:
    """Return polite demonstrations, and which of them are corrupted."""
    prompts = language.draw_from(pool, DEMONSTRATIONS, seed + 10)
    draw = random.Random(seed + 11)
    bad = [draw.random() < share for _ in prompts]
    writers = [CORRUPT if corrupted else POLITE for corrupted in bad]
    answers = [language.write(p, w, draw) for p, w in zip(prompts, writers, strict=True)]
    return demonstrations(prompts, answers), bad


def _quantities(model: Any, prompts: Sequence[Tokens], seed: int) -> dict[str, float]:
    answers = sample(model, prompts, 4, seed + 40)
    return {
        "accuracy": mean_gold(prompts, answers, language.accuracy),
        "gold": mean_gold(prompts, answers, language.quality),
    }


def _relative_weight(
    policy: Any, baselines: Sequence[Any], examples: Sequence[Example], bad: Sequence[bool]
) -> float:
    """Return mean sigmoid(mean_k S_k - S) of corrupted demonstrations over that of clean ones."""
    trees = [example.trees[0] for example in examples]
    with torch.no_grad():
        baseline = sum(score(model, trees).mean() for model in baselines) / len(baselines)
        weights = (baseline - score(policy, trees).mean()).sigmoid().tolist()
    corrupted = [w for w, is_bad in zip(weights, bad, strict=True) if is_bad]
    clean = [w for w, is_bad in zip(weights, bad, strict=True) if not is_bad]
    return (sum(corrupted) / len(corrupted)) / (sum(clean) / len(clean))
