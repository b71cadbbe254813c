"""S66: distributional dispreference: harm unlearnt from unwanted answers alone.

Knows the laboratory. A small transformer writes rudely now and then, as its teacher did. Its own
rude answers are the only labels; the anchors are more of its own answers, unlabelled. Harm is
rudeness, help is naming the right objects; both are programs. Beside d2o stands the same loss with
its anchors weighing nothing, and with one anchor (which is dpo on a random answer of one's own).
Every run is looked at where it has first cut harm to a quarter: unlearning goes as fast or as far
as its rate and length say, but what it costs on the way can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accordant.catalogue.laboratory import language
from accordant.catalogue.laboratory.language import END, Tokens
from accordant.catalogue.laboratory.study import Measured, Study, repeat
from accordant.catalogue.laboratory.training import minibatches, train
from accordant.catalogue.laboratory.transformer import (
    Schooling,
    Shape,
    clone,
    mean_gold,
    sample,
    score_answers,
    start_model,
    thumbs,
)
from accordant.catalogue.reproduce import Check, Reproduction, beats, not_worse
from accordant.data.examples import Example
from accordant.decoding.sampling import SamplingOptions, generate
from accordant.decoding.self_samples import with_self_samples

SEEDS = (0, 1, 2, 3, 4)
SHAPE = Shape(width=64, layers=2)
PROMPTS = 1500  # answered once; the rude answers are the data
ANCHORS = 11
STEPS, EVERY, BATCH, LR = 160, 4, 32, 1e-4
CUT = 0.25  # of the start's rudeness, where runs are compared
HELD_OUT = 300
KEPT = 0.05  # accuracy that may be lost
NOTHING = 1e-6  # weight of anchors that do not count
D2O, ONE, NONE = "d2o", "one anchor", "no anchors"
# Anchors, their weight, and how often it is trained, each time with anchors drawn anew.
CONDITIONS = {D2O: (ANCHORS, 0.1, 2), ONE: (1, 0.1, 2), NONE: (1, NOTHING, 1)}


def reproduce(seeds: tuple[int, ...] | None) -> Reproduction:
    """Unlearn rudeness with eleven anchors, with one and with none."""
    study = repeat(_measure, seeds or SEEDS)
    return Reproduction(
        study.rows(),
        _checks(study),
        study.seeds,
        note=f"Steps of {BATCH} until 'rude', rude adjectives per noun, is under {CUT:g} of what "
        "it was. 'unsteadiness' is how far two runs are apart then that differ in nothing but the "
        "anchors drawn: the mean difference of held-out answers' log-probabilities, in nats. "
        "Anchors save most of the help that is lost without them, not all of it: in some seeds a "
        "model this small unlearns adjectives of every manner with the rude ones, and what they "
        "leave free at the first word goes to wrong nouns. A rate three times lower with batches "
        "twice as large loses as much.",
    )


def _checks(study: Study) -> tuple[Check, ...]:
    def values(condition: str, quantity: str) -> list[float]:
        return study.values(condition, quantity)

    return (
        beats("d2o lowers harm", values("start", "rude"), values(D2O, "rude")),
        not_worse("it keeps help", values(D2O, "accuracy"), values("start", "accuracy"), KEPT),
        beats(
            "without anchors help is lost",
            values(D2O, "accuracy"),
            values(NONE, "accuracy"),
        ),
        beats(
            "with eleven anchors training is steadier than with one",
            values(ONE, "unsteadiness"),
            values(D2O, "unsteadiness"),
        ),
    )


def _measure(seed: int) -> Measured:
    start = start_model(seed, Schooling(), SHAPE)
    unwanted = _rude_answers(start, seed)
    prompts = language.draw_prompts(HELD_OUT, seed + 30)
    measured = {"start": _quantities(start, prompts, seed)}
    target = CUT * measured["start"]["rude"]
    for name, (count, weight, runs) in CONDITIONS.items():
        found = []
        for run in range(runs):
            examples = with_self_samples(
                unwanted, _own_answers(start, unwanted, count, seed + 100 * run)
            )
            found.append(_until(start, examples, weight, prompts, target, seed))
        policies = [policy for policy, _ in found]
        measured[name] = _quantities(policies[0], prompts, seed) | {"steps": float(found[0][1])}
        if runs == 2:
            measured[name]["unsteadiness"] = _distance(policies, start, prompts, seed)
    return measured


def _until(
    start: Any,
    examples: Sequence[Example],
    weight: float,
    prompts: Sequence[Tokens],
    target: float,
    seed: int,
) -> tuple[Any, int]:
    """The policy when its rudeness is first under the target (else at the end), and the step."""
    policy = clone(start)
    reached: list[tuple[Any, int]] = []

    def watch(step: int) -> dict[str, float]:
        if not reached and _quantities(policy, prompts, seed)["rude"] <= target:
            reached.append((clone(policy), step))
        return {}

    batches = minibatches(examples, BATCH, seed, epochs=1 + STEPS * BATCH // len(examples))
    options = {"beta": weight}
    train(policy, "d2o", batches, steps=STEPS, lr=LR, options=options, watch=watch, every=EVERY)
    return reached[0] if reached else (policy, STEPS)


def _distance(pair: Sequence[Any], start: Any, prompts: Sequence[Tokens], seed: int) -> float:
    """Mean absolute difference of two models' log-probabilities of the start's answers."""
    answers = sample(start, prompts, 1, seed + 50)
    first, second = (score_answers(model, prompts, answers).sum() for model in pair)
    return float((first - second).abs().mean())


def _rude_answers(model: Any, seed: int) -> list[Example]:
    prompts = language.draw_prompts(PROMPTS, seed + 10)
    answers = [row[0] for row in sample(model, prompts, 1, seed + 11)]
    rude = [
        (p, a)
        for p, a in zip(prompts, answers, strict=True)
        if language.manner_share(a, "rude") > 0
    ]
    return thumbs([p for p, _ in rude], [a for _, a in rude], [False] * len(rude))


def _own_answers(
    model: Any, examples: Sequence[Example], count: int, seed: int
) -> dict[Tokens, tuple[Tokens, ...]]:
    prompts = list(dict.fromkeys(example.trees[0].prompt for example in examples))
    options = SamplingOptions(12, seed=seed, stop_ids=(END,), samples_per_prompt=count)
    drawn = [generation.completion for generation in generate(model, prompts, options)]
    rows = (tuple(drawn[at : at + count]) for at in range(0, len(drawn), count))
    return dict(zip(prompts, rows, strict=True))


def _quantities(model: Any, prompts: Sequence[Tokens], seed: int) -> dict[str, float]:
    answers = sample(model, prompts, 2, seed + 40)
    return {
        "rude": mean_gold(prompts, answers, lambda _, a: language.manner_share(a, "rude")),
        "accuracy": mean_gold(prompts, answers, language.accuracy),
        "grammatical": mean_gold(prompts, answers, lambda _, a: language.is_grammatical(a)),
    }
