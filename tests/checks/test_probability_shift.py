"""Shifted probability against one sequence at a time through the model's own forward."""

from __future__ import annotations

import pytest
import torch

from accordant.checks.probability_shift import measure_shift
from accordant.models.adapters import base_model_of
from accordant.tokens.trees import TokenTree
from tests.checks.after.trained import biased
from tests.checks.before.modelled import TOKENIZER, make_model

TREES = [
    TokenTree((5, 6, 7), ((8, 9), (10, 11, 12))),
    TokenTree((9, 4), ((5,),)),
    TokenTree((3,), ((8, 20), (8, 21), (22, 2))),
]


def plain(model: torch.nn.Module, prompt: tuple[int, ...], answer: tuple[int, ...]) -> torch.Tensor:
    """Distributions that predict the answer's tokens, float64 `[tokens, vocab]`."""
    base = base_model_of(model)
    with torch.no_grad():
        logits = type(base).forward(base, torch.tensor([prompt + answer])).logits[0]
    return logits[len(prompt) - 1 : -1].double().softmax(-1)


@pytest.mark.parametrize("row_tokens", [4, 1000])
def test_it_is_the_difference_of_distributions_one_by_one(row_tokens: int) -> None:
    reference = make_model()
    model = biased(make_model(1), {8: 1.0})
    told: list[int] = []
    found = measure_shift(model, reference, TREES, row_tokens=row_tokens, advance=told.append)
    differences = [
        plain(model, tree.prompt, answer) - plain(reference, tree.prompt, answer)
        for tree in TREES
        for answer in tree.continuations
    ]
    everywhere = torch.cat(differences)
    torch.testing.assert_close(found.change, everywhere.mean(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.variation, everywhere.abs().sum(1) / 2, atol=1e-6, rtol=0)
    firsts = torch.stack([differences[place][0] for place in (0, 2, 3)])
    torch.testing.assert_close(found.first_change, firsts.mean(0), atol=1e-6, rtol=0)
    gained = firsts.clamp(min=0)
    torch.testing.assert_close(found.first_variation, gained.sum(1), atol=1e-6, rtol=0)
    for place, tree in enumerate(TREES):
        gained[place, list({answer[0] for answer in tree.continuations})] = 0
    torch.testing.assert_close(found.first_elsewhere, gained.sum(1), atol=1e-6, rtol=0)
    assert sum(told) == 2 * sum(tree.num_tokens for tree in TREES)


def test_a_planted_token_gains_what_all_others_lose() -> None:
    reference = make_model()
    found = measure_shift(biased(reference, {17: 4.0}), reference, TREES, row_tokens=1000)
    assert found.change.argmax() == 17
    assert (found.change < 0).sum() == len(TOKENIZER) - 1
    assert abs(float(found.change.sum())) < 1e-6
    assert float(found.first_change[17]) == pytest.approx(float(found.first_variation.mean()))


def test_equal_models_have_moved_nothing() -> None:
    reference = make_model()
    found = measure_shift(make_model(), reference, TREES, row_tokens=1000)
    assert float(found.variation.abs().max()) == 0
