"""What the loop shows holds for the trainer that users run: same batches, same weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from accordant.objectives.registry import get_objective, is_built_in, list_objectives
from accordant.tokens.examples import Example, with_numbers
from accordant.tokens.trees import TokenTree
from accordant_studies.laboratory import labelling, language, worlds
from accordant_studies.laboratory.trainer import train_with_trainer
from accordant_studies.laboratory.training import Batch, minibatches, train
from accordant_studies.laboratory.transformer import (
    FALLIBLE,
    Shape,
    clone,
    demonstrations,
    gold_comparisons,
    gold_rankings,
    new_model,
    thumbs,
)

SHAPE = Shape(width=32, layers=2, heads=2)
PROMPTS = language.draw_prompts(12, 0, objects=2)
ANSWERS = [language.write_all(PROMPTS, FALLIBLE, seed) for seed in range(4)]
DRAWN = list(zip(*ANSWERS, strict=True))


def judged() -> list[Example]:
    """Answers after prompt and judgment, and after the prompt alone, half of them good."""
    return [
        Example(
            "judgment",
            (TokenTree((*prompt, 1), (answer,)), TokenTree(prompt, (answer,))),
            index,
            label=index % 2 == 0,
        )
        for index, (prompt, answer) in enumerate(zip(PROMPTS, ANSWERS[0], strict=True))
    ]


PAIRS = gold_comparisons(PROMPTS, DRAWN, language.quality)
GAPS = [with_numbers(pair, "reward_gap", (0.1 * n,)) for n, pair in enumerate(PAIRS)]
# A method of every family, and its examples.
FAMILIES = {
    "dpo": PAIRS,
    "apo_zero": PAIRS,
    "simpo": PAIRS,
    "f_dpo": PAIRS,
    "mm_dpo": GAPS,
    "retain_dpo": PAIRS,
    "lipo_lambda": gold_rankings(PROMPTS, DRAWN, language.quality),
    "bco": thumbs(PROMPTS, ANSWERS[0], [index % 3 > 0 for index in range(len(PROMPTS))]),
    "kto": thumbs(PROMPTS, ANSWERS[0], [index % 3 > 0 for index in range(len(PROMPTS))]),
    "plackett_luce": gold_rankings(PROMPTS, DRAWN, language.quality),
    "sft": demonstrations(PROMPTS, ANSWERS[0]),
    "cut": judged(),
    "copg": gold_rankings(PROMPTS, DRAWN, language.quality),
}


def test_every_file_of_losses_is_a_family() -> None:
    files = {entry.function.__module__ for entry in list_objectives() if is_built_in(entry)}
    assert {get_objective(method).function.__module__ for method in FAMILIES} == files


def batches_of(examples: Sequence[Example]) -> list[Batch]:
    return minibatches([replace(e, index=n) for n, e in enumerate(examples)], 5, seed=1)


@pytest.mark.parametrize("method", FAMILIES)
def test_the_loop_and_the_trainer_give_the_same_weights(method: str) -> None:
    start = new_model(3, SHAPE)
    batches = batches_of(FAMILIES[method])
    policies = []
    for way in (train, train_with_trainer):
        policy = clone(start)
        way(policy, method, batches, steps=6, lr=1e-3)
        policies.append(torch.cat([p.detach().flatten() for p in policy.parameters()]))
    moved = (policies[0] - torch.cat([p.detach().flatten() for p in start.parameters()])).abs()
    assert moved.max() > 3e-3
    assert (policies[0] - policies[1]).abs().max() < 1e-5


def test_a_table_takes_the_same_way_through_the_trainer() -> None:
    world = worlds.arms(4, contexts=2)
    start = worlds.random_policy(world, 0)
    examples = labelling.comparisons(world, labelling.draw_pairs(world, start.logps(), 6, 1))
    tables = []
    for way in (train, train_with_trainer):
        policy = worlds.TabularPolicy(world, start.logits.detach())
        way(policy, "dpo", [Batch(examples)], steps=6, lr=0.05)
        tables.append(policy.logits.detach())
    assert (tables[0] - start.logits).abs().max() > 0.1
    torch.testing.assert_close(tables[1], tables[0], rtol=0, atol=1e-12)


def test_the_trainer_is_watched_like_the_loop() -> None:
    start, batches = new_model(3, SHAPE), batches_of(FAMILIES["dpo"])
    histories = []
    for way in (train, train_with_trainer):
        policy = clone(start)
        first = next(policy.parameters())

        def watch(step: int, first: torch.Tensor = first) -> dict[str, float]:
            return {"double": 2.0 * step, "weight": float(first[0, 0])}

        histories.append(
            way(policy, "dpo", batches, steps=5, lr=1e-3, watch=watch, every=2, reference=start)
        )
        assert not policy.training
    for one, two in zip(*histories, strict=True):
        assert one == pytest.approx(two, abs=1e-5)
    assert [row["step"] for row in histories[1]] == [0, 2, 4, 5]


def test_batches_may_be_made_from_the_policy_as_it_stands() -> None:
    start, examples = new_model(3, SHAPE), FAMILIES["copg"]
    seen: list[float] = []
    policy = copy.deepcopy(start)

    def batch(step: int) -> Batch:
        seen.append(next(policy.parameters())[0, 0].item())
        return Batch(examples[step : step + 4])

    train_with_trainer(policy, "copg", batch, steps=3, lr=1e-3)
    assert len(set(seen)) == 3


def test_weights_of_a_batch_are_refused() -> None:
    batch = Batch(FAMILIES["dpo"], torch.ones(len(FAMILIES["dpo"])))
    with pytest.raises(ValueError, match="does not know weights"):
        train_with_trainer(new_model(3, SHAPE), "dpo", [batch], steps=1, lr=1e-3)
