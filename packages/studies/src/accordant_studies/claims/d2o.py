"""S66: distributional dispreference: harm unlearnt from unwanted answers alone.

Knows the laboratory. A small transformer writes rudely now and then, as its teacher did. Its own
rude answers are the only labels; the anchors are more of its own answers, unlabelled. Harm is
rudeness, help is naming the right objects; both are programs. Beside d2o stands the same loss with
its anchors weighing nothing, and with one anchor (which is dpo on a random answer of one's own).
Every run is looked at where it has first cut harm to a quarter: unlearning goes as fast or as far
as its rate and length say, but what it costs on the way can be compared. That place is found on
other answers than those that are measured there, and on prompts that no label is of. How far two
runs are apart is compared at the same step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.tokens.examples import Example
from accordant.training.preparations.self_samples import with_own_answers
from accordant_studies.laboratory import language
from accordant_studies.laboratory.language import END, Tokens
from accordant_studies.laboratory.training import minibatches, train
from accordant_studies.laboratory.transformer import (
    Gold,
    Schooling,
    Shape,
    clone,
    mean_gold,
    sample,
    score_answers,
    start_model,
    thumbs,
)
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(5)
SHAPE = Shape(width=64, layers=2)
PROMPTS = 1500  # answered once; the rude answers are the data
ANCHORS = 11
STEPS, EVERY, BATCH, LR = 160, 4, 32, 1e-4
CUT = 0.25  # of the start's rudeness, where runs are compared
HELD_OUT = 128  # of the 512 prompts
KEPT = 0.05  # accuracy that may be lost
NOTHING = 1e-6  # weight of anchors that do not count
D2O, ONE, NONE = "d2o", "one anchor", "no anchors"
# Anchors, their weight, and how often it is trained, each time with anchors drawn anew.
CONDITIONS = {D2O: (ANCHORS, 0.1, 2), ONE: (1, 0.1, 2), NONE: (1, NOTHING, 1)}


def study() -> Study:
    """Unlearn rudeness with eleven anchors, with one and with none."""
    return Study(
        _measure,
        SEEDS,
        (
            Claim("d2o lowers harm", "rude", lower=D2O, than="start"),
            Claim("it keeps help", "accuracy", higher=D2O, than="start", by=-KEPT),
            Claim(
                "without anchors help is lost", "accuracy", lower=NONE, than="start", control=True
            ),
            Claim("anchors keep some of it", "accuracy", higher=D2O, than=NONE),
            Claim(
                "with eleven anchors training is steadier than with one",
                "unsteadiness",
                lower=D2O,
                than=ONE,
            ),
        ),
        note=f"Steps of {BATCH} until 'rude', rude adjectives per noun, is under {CUT:g} of what "
        f"it was, at most {STEPS}; 'reached' is the share of runs that came so far, and the others "
        "are measured at the end. Numbers are means over runs that differ in nothing but the "
        "anchors drawn. 'unsteadiness' is how far two such runs are apart at the step at which the "
        "first run of d2o is measured: the mean difference of held-out answers' "
        "log-probabilities, in nats. A model this small unlearns adjectives of every manner with "
        "the rude ones, and what they leave free at the first word goes to wrong nouns: anchors "
        "save most of the help that is lost without them, not all of it.",
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: the policy at every look, and the look at which it is measured."""

    policies: list[Any]
    stop: int
    reached: bool


def _measure(seed: int) -> Measured:
    start = start_model(seed, Schooling(), SHAPE)
    held_out, rest = language.split_prompts(HELD_OUT, seed)
    unwanted = _rude_answers(start, rest, seed)
    target = CUT * _rudeness(start, held_out, seed)
    runs: dict[str, list[_Run]] = {}
    for name, (count, weight, repeats) in CONDITIONS.items():
        runs[name] = []
        for run in range(repeats):
            options = SamplingOptions(
                12, seed=seed + 100 * run, stop_ids=(END,), samples_per_prompt=count
            )
            examples = with_own_answers(unwanted, LocalSampler(start), options)
            runs[name].append(_run(start, examples, weight, (held_out, target), seed))
    measured = {"start": _quantities([start], held_out, seed)}
    same = runs[D2O][0].stop
    for name, own in runs.items():
        stopped = [run.policies[run.stop] for run in own]
        measured[name] = _quantities(stopped, held_out, seed) | {
            "steps": fmean(EVERY * run.stop for run in own),
            "reached": fmean(run.reached for run in own),
        }
        if len(own) == 2:
            pair = [run.policies[same] for run in own]
            measured[name]["unsteadiness"] = _distance(pair, start, held_out, seed)
    return measured


def _run(
    start: Any,
    examples: Sequence[Example],
    weight: float,
    goal: tuple[Sequence[Tokens], float],
    seed: int,
) -> _Run:
    """Train to the end; the stop is where rudeness is first under the goal, else the end."""
    prompts, target = goal
    policy, kept, rude = clone(start), list[Any](), list[float]()

    def watch(step: int) -> dict[str, float]:  # noqa: ARG001 - looks come every so many steps
        kept.append(clone(policy))
        rude.append(_rudeness(policy, prompts, seed))
        return {}

    batches = minibatches(examples, BATCH, seed, epochs=1 + STEPS * BATCH // len(examples))
    options = {"beta": weight}
    train(policy, "d2o", batches, steps=STEPS, lr=LR, options=options, watch=watch, every=EVERY)
    under = [look for look, value in enumerate(rude) if value <= target]
    return _Run(kept, under[0] if under else len(kept) - 1, bool(under))


def _distance(pair: Sequence[Any], start: Any, prompts: Sequence[Tokens], seed: int) -> float:
    """Return how far two models' log-probabilities of the start's answers are apart, mean, nats."""
    answers = sample(start, prompts, 2, seed + 50)
    first, second = (score_answers(model, prompts, answers).sum() for model in pair)
    return float((first - second).abs().mean())


def _rude_answers(model: Any, pool: Sequence[Tokens], seed: int) -> list[Example]:
    """Return rude answers of the model's own to prompts that are drawn again and again."""
    prompts = language.draw_from(pool, PROMPTS, seed + 10)
    answers = [row[0] for row in sample(model, prompts, 1, seed + 11)]
    rude = [
        (p, a)
        for p, a in zip(prompts, answers, strict=True)
        if language.manner_share(a, "rude") > 0
    ]
    return thumbs([p for p, _ in rude], [a for _, a in rude], [False] * len(rude))


def _rudeness(model: Any, prompts: Sequence[Tokens], seed: int) -> float:
    """Return the rudeness a run is stopped by, of answers of a seed of their own."""
    return mean_gold(prompts, sample(model, prompts, 4, seed + 40), _rude)


def _rude(_: Tokens, answer: Tokens) -> float:
    return language.manner_share(answer, "rude")


def _quantities(models: Sequence[Any], prompts: Sequence[Tokens], seed: int) -> dict[str, float]:
    """Return means over models of what their answers are like."""
    drawn = [sample(model, prompts, 8, seed + 41) for model in models]

    def mean(gold: Gold) -> float:
        return fmean(mean_gold(prompts, answers, gold) for answers in drawn)

    return {
        "rude": mean(_rude),
        "accuracy": mean(language.accuracy),
        "grammatical": mean(lambda _, answer: language.is_grammatical(answer)),
    }
