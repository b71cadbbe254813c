"""S28: gradient entanglement predicts which way both log-probabilities move, on small transformers.

Knows the laboratory and the check's gradients. Two kinds of pairs: answers in a manner the model
has not learnt, which differ in one word, as answers bought from another model are alike; and two
samples of the model. Each pair is trained on alone, by one plain step of gradient descent on DPO
from the start model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from accordant.checks.gradients import Changes, loss_slopes, pair_products, parameters_of, predict
from accordant.objectives.registry import bind_options, get_objective
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant_studies.laboratory.language import (
    ADJECTIVES,
    END,
    FIRST_ADJECTIVE,
    FIRST_NOUN,
    MANNERS,
    Tokens,
    draw_prompts,
    objects_of,
)
from accordant_studies.laboratory.training import Batch, train
from accordant_studies.laboratory.transformer import clone, sample, score_answers, start_model
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(4)
PAIRS = 50  # of each kind
OBJECTIVE = "dpo"
RATE = 1e-3  # of the one step
ALIKE, APART = "alike, in a new manner", "two samples"


def study() -> Study:
    """Predict both directions of every pair, take the step, and count agreements."""
    agreement = "both directions as predicted"
    return Study(
        _measure,
        SEEDS,
        (
            Claim(
                "both directions are as predicted in over 95 % of pairs",
                agreement,
                higher="all pairs",
                than=0.95,
            ),
            Claim(
                "the conditions predict better than 'always up and down'",
                agreement,
                higher="all pairs",
                than=("all pairs", "both directions always up and down"),
            ),
            Claim(
                "alike answers move together more often than two samples",
                "moved together",
                higher=ALIKE,
                than=APART,
            ),
            Claim(
                "of the chosen answers that break their condition, over 95 % fall",
                "chosen falls, where it should",
                higher="all pairs",
                than=0.95,
            ),
        ),
        units={"chosen, where it should fall": "nats"},
        note=f"{PAIRS} pairs of each kind, every one trained on alone from the same start by one "
        f"plain step at a learning rate of {RATE:g}, with the gradients of all weights. "
        "'Always up and down' says that the chosen answer rises and the rejected one falls.",
    )


def _measure(seed: int) -> Measured:
    model = start_model(seed)
    prompts = draw_prompts(4 * PAIRS, seed + 100)
    kinds = {ALIKE: _alike(prompts, seed), APART: _apart(model, prompts, seed)}
    measured, predicted, moved = {}, [], []
    for name, examples in kinds.items():
        expected = _predict(model, examples)
        actual = _step_on_each(model, examples)
        measured[name] = _summary(expected, actual)
        predicted.append(expected)
        moved.append(actual)
    expected, actual = torch.cat(predicted), torch.cat(moved)
    breaks = expected[:, 0] <= 0
    measured["all pairs"] = _summary(expected, actual) | {
        "both directions always up and down": float(
            ((actual[:, 0] > 0) & (actual[:, 1] < 0)).double().mean()
        ),
        "chosen falls, where it should": float((actual[breaks, 0] < 0).double().mean()),
        "chosen, where it should fall": float(actual[breaks, 0].mean()),
    }
    return measured


def _summary(expected: Tensor, actual: Tensor) -> dict[str, float]:
    """Return shares of pairs, from predicted and actual changes of both answers, `[n, 2]`."""
    agrees = (expected.sign() == actual.sign()).all(1)
    return {
        "both directions as predicted": float(agrees.double().mean()),
        "breaks a condition": float(
            ((expected[:, 0] <= 0) | (expected[:, 1] >= 0)).double().mean()
        ),
        "moved together": float((actual[:, 0].sign() == actual[:, 1].sign()).double().mean()),
    }


def _predict(model: torch.nn.Module, examples: Sequence[Example]) -> Tensor:
    objective = get_objective(OBJECTIVE)
    products, scores = pair_products(model, examples, parameters_of(model))
    slopes = loss_slopes(objective, bind_options(objective, {}), scores, examples)
    changes: Changes = predict(products, slopes)
    return torch.stack([changes.chosen, changes.rejected], dim=1)


def _step_on_each(model: torch.nn.Module, examples: Sequence[Example]) -> Tensor:
    """Return how one plain step on each pair alone changes both log-probs, `[n, 2]`."""
    changes, policy = [], clone(model)
    for example in examples:
        policy.load_state_dict(model.state_dict())
        tree, batch = example.trees[0], [Batch([example])]
        before = score_answers(policy, [tree.prompt], [tree.continuations]).sum()
        train(policy, OBJECTIVE, batch, reference=model, steps=1, lr=RATE, optimizer="sgd")
        after = score_answers(policy, [tree.prompt], [tree.continuations]).sum()
        changes.append((after - before).double())
    return torch.stack(changes)


def _alike(prompts: Sequence[Tokens], seed: int) -> list[Example]:
    """Return answers that name the objects in reverse and differ in one adjective."""
    draw = random.Random(seed)
    adjectives = range(FIRST_ADJECTIVE, FIRST_ADJECTIVE + ADJECTIVES * len(MANNERS))
    examples: list[Example] = []
    for prompt in prompts[:PAIRS]:
        nouns = [FIRST_NOUN + number for number in reversed(objects_of(prompt))]
        words = [draw.choice(adjectives) for _ in nouns]
        place = draw.randrange(len(nouns))
        changed = list(words)
        changed[place] = draw.choice([word for word in adjectives if word != words[place]])
        chosen, rejected = (
            (*(token for pair in zip(own, nouns, strict=True) for token in pair), END)
            for own in (words, changed)
        )
        examples.append(_comparison(prompt, chosen, rejected, len(examples)))
    return examples


def _apart(model: torch.nn.Module, prompts: Sequence[Tokens], seed: int) -> list[Example]:
    """Return pairs of different samples; which of them is preferred does not matter here."""
    examples: list[Example] = []
    for prompt, (first, second) in zip(prompts, sample(model, prompts, 2, seed + 1), strict=True):
        if first != second and len(examples) < PAIRS:
            examples.append(_comparison(prompt, first, second, len(examples)))
    return examples


def _comparison(prompt: Tokens, chosen: Tokens, rejected: Tokens, index: int) -> Example:
    return Example("comparison", (TokenTree(prompt, (chosen, rejected)),), index)
