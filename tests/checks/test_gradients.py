"""Products of gradients and what they predict, against finite differences and real steps."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from accordant.base.errors import UserError
from accordant.checks.gradients import (
    Products,
    last_layer_token_changes,
    loss_slopes,
    pair_gradients,
    pair_products,
    parameters_of,
    predict,
    token_changes,
)
from accordant.objectives.registry import bind_options, get_objective
from accordant.scoring.engine import pack, score, score_packed
from accordant.scoring.installation import install
from accordant.scoring.scores import from_lists
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from tests.families import VOCABULARY, tiny_model

FAMILIES = ["llama", "llama-tied-bias", "gpt2", "gemma2"]


def tokens(count: int, seed: int) -> tuple[int, ...]:
    """Tokens but the padding token, 0: some families cut the gradient of its embedding off."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(1, VOCABULARY, (count,), generator=generator).tolist())


def pair(seed: int, *, alike: bool = False) -> Example:
    """A comparison; answers that are alike differ in one token."""
    prompt, chosen = tokens(6, 10 * seed), tokens(5, 10 * seed + 1)
    rejected = (
        (*chosen[:-1], chosen[-1] % (VOCABULARY - 1) + 1) if alike else tokens(7, 10 * seed + 2)
    )
    return Example("comparison", (TokenTree(prompt, (chosen, rejected)),), seed)


def products_of(chosen: list[float], rejected: list[float]) -> Products:
    w, v = (torch.tensor([one], dtype=torch.float64) for one in (chosen, rejected))
    return Products((w * v).sum(1), (w * w).sum(1), (v * v).sum(1))


def dpo_slopes(model: nn.Module, examples: list[Example], beta: float = 0.1) -> Tensor:
    objective = get_objective("dpo")
    scores = score(model, [tree for one in examples for tree in one.trees]).detach()
    return loss_slopes(objective, bind_options(objective, {"beta": beta}), scores, examples)


@pytest.mark.parametrize(
    ("rejected", "changes"), [([0.8, 0.9], (0.2, -0.65)), ([1.2, 0.3], (-0.2, -0.33))]
)
def test_the_worked_examples(rejected: list[float], changes: tuple[float, float]) -> None:
    found = predict(products_of([1.0, 0.0], rejected), torch.ones(1, 2))
    assert (float(found.chosen), float(found.rejected)) == pytest.approx(changes)
    assert bool(found.breaks_chosen) == (changes[0] < 0)


@given(st.integers(0, 100_000))
def test_the_margin_never_falls_where_both_slopes_are_equal(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    w, v = torch.randn(2, 8, generator=generator).tolist()
    found = predict(products_of(w, v), torch.full((1, 2), 0.3))
    assert float(found.chosen - found.rejected) >= -1e-12


@pytest.mark.parametrize("family", FAMILIES)
def test_products_are_those_of_finite_differences(family: str) -> None:
    """Moving the weights along g_w changes both log-probabilities by the products."""
    model = install(tiny_model(family))
    example, parameters = pair(1), parameters_of(model)
    products, scores = pair_products(model, [example], parameters)
    chosen, _, _ = pair_gradients(model, example, parameters)
    step = 1e-2 / float(products.chosen)
    found = []
    for sign in (1, -1):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for parameter, change in zip(parameters_of(moved), chosen, strict=True):
                parameter.add_(change, alpha=sign * step)
            found.append(score(moved, example.trees).sum().double())
    slope = (found[0] - found[1]) / (2 * step)
    expected = torch.cat([products.chosen, products.inner])
    torch.testing.assert_close(slope, expected, rtol=2e-2, atol=2e-2 * float(products.chosen))
    torch.testing.assert_close(scores.sum(), score(model, example.trees).sum().detach())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["dpo", "ipo", "simpo", "slic"])
def test_one_plain_step_moves_both_answers_as_predicted(family: str, name: str) -> None:
    model = install(tiny_model(family))
    objective = get_objective(name)
    options = bind_options(objective, {})
    examples = [pair(seed, alike=seed % 2 == 0) for seed in range(2, 8)]
    products, scores = pair_products(model, examples, parameters_of(model))
    changes = predict(products, loss_slopes(objective, options, scores, examples))
    for place, example in enumerate(examples):
        expected = torch.stack([changes.chosen[place], changes.rejected[place]])
        rate = 1e-2 / float(expected.abs().max())
        before, after = step_on(model, example, name, rate)
        torch.testing.assert_close(
            (after - before) / rate, expected, rtol=0.05, atol=0.6 / rate / 1e3
        )


def step_on(model: Any, example: Example, name: str, rate: float) -> tuple[Tensor, Tensor]:
    """Both log-probabilities before and after one step of plain gradient descent."""
    from accordant.objectives.assembly import assemble
    from accordant.objectives.batch import evaluate

    moved, objective = copy.deepcopy(model), get_objective(name)
    mover = torch.optim.SGD(moved.parameters(), lr=rate)
    policy = score(moved, example.trees)
    inputs = assemble(objective, policy, policy.detach(), [example])
    evaluate(objective, inputs, bind_options(objective, {})).losses.sum().backward()
    mover.step()
    with torch.no_grad():
        after = score(moved, example.trees).sum()
    return policy.sum().detach().double(), after.double()


def test_slopes_come_from_the_objective() -> None:
    scores = from_lists([[-1.0, -2.0], [-3.0], [-4.0], [-1.0, -1.0, -1.0]], [0, 0, 1, 1])
    examples = [pair(0), pair(1)]

    def slopes(name: str, **options: object) -> Tensor:
        objective = get_objective(name)
        return loss_slopes(objective, bind_options(objective, options), scores, examples)

    assert slopes("dpo", beta=0.2).flatten().tolist() == pytest.approx([0.1] * 4)
    assert slopes("ipo", tau=0.5).flatten().tolist() == pytest.approx([2.0] * 4)
    rpo = slopes("rpo", beta=0.2, eta=0.25)
    assert rpo[:, 0].tolist() == pytest.approx([0.15, 0.15])
    assert rpo[:, 1].tolist() == pytest.approx([0.1, 0.1])
    # Averaged over tokens, the longer answer weighs less.
    normalised = slopes("ln_dpo")
    assert float(normalised[1, 0] / normalised[1, 1]) == pytest.approx(3.0)


def test_a_loss_that_weighs_tokens_differently_is_refused() -> None:
    scores = from_lists([[-1.0, -2.0], [-3.0, -2.0]], [0, 0])
    reference = from_lists([[-2.0, -2.0], [-1.0, -2.5]], [0, 0])
    objective = get_objective("tdpo")
    with pytest.raises(UserError, match="weighs the tokens"):
        loss_slopes(objective, bind_options(objective, {}), scores, [pair(0)], reference)


def test_the_last_layers_are_the_last_of_all_weights() -> None:
    model = install(tiny_model("llama"))
    last = {id(one) for one in parameters_of(model, 1)}
    named = {name for name, one in model.named_parameters() if id(one) in last}
    assert {name.rpartition("layers.")[2][0] for name in named if "layers." in name} == {"2"}
    assert {"model.norm.weight", "lm_head.weight"} <= named
    tied = install(tiny_model("llama-tied-bias"))
    last = {id(one) for one in parameters_of(tied, 1)}
    assert id(tied.lm_head.weight) not in last
    with pytest.raises(UserError, match="3 layers"):
        parameters_of(model, 4)


def test_fewer_weights_give_part_of_the_products_and_leave_the_model_as_it_was() -> None:
    model = install(tiny_model("llama"))
    whole, _ = pair_products(model, [pair(1)], parameters_of(model))
    part, _ = pair_products(model, [pair(1)], parameters_of(model, 1))
    assert 0 < float(part.chosen) < float(whole.chosen)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_tokens_under_the_head_alone_are_those_of_its_gradients(family: str) -> None:
    model = install(tiny_model(family))
    # Untied, so that the head's weight has a gradient of its own.
    head = model.get_output_embeddings()
    head.weight = nn.Parameter(head.weight.detach().clone())
    example, slopes = pair(3), torch.tensor([0.3, 0.2])
    found = last_layer_token_changes(model, example, slopes)
    logps = score(model, example.trees).logps
    rows = [torch.autograd.grad(one, head.weight, retain_graph=True)[0].flatten() for one in logps]
    grams = torch.stack(rows)
    update = 0.3 * grams[:5].sum(0) - 0.2 * grams[5:].sum(0)
    expected = (grams @ update).double()
    torch.testing.assert_close(
        torch.cat([found.chosen, found.rejected]), expected, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_tokens_under_all_weights_are_those_of_their_gradients(family: str) -> None:
    model = install(tiny_model(family))
    weights = copy.deepcopy(model.state_dict())
    example, slopes, parameters = pair(4), torch.tensor([0.3, 0.2]), parameters_of(model)
    found = token_changes(model, example, parameters, slopes)
    logps = score_packed(model, pack(model, example.trees)).logps
    rows = [
        torch.cat(
            [
                part.flatten()
                for part in torch.autograd.grad(
                    one, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
                )
            ]
        )
        for one in logps
    ]
    grams = torch.stack(rows)
    expected = (grams @ (0.3 * grams[:5].sum(0) - 0.2 * grams[5:].sum(0))).double()
    measured = torch.cat([found.chosen, found.rejected])
    scale = float(expected.abs().max())
    torch.testing.assert_close(measured, expected, rtol=0.02, atol=0.01 * scale)
    products, _ = pair_products(model, [example], parameters)
    whole = predict(products, slopes[None])
    assert float(found.chosen.sum()) == pytest.approx(float(whole.chosen), rel=0.02)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_steps_too_small_for_bfloat16_are_refused() -> None:
    model = install(tiny_model("llama").bfloat16(), verify=False)
    with pytest.raises(UserError, match="bfloat16"):
        token_changes(model, pair(1), parameters_of(model), torch.ones(2))


def test_alike_answers_are_entangled_and_unlike_ones_are_not() -> None:
    model = install(tiny_model("llama"))
    alike, _ = pair_products(model, [pair(s, alike=True) for s in range(6)], parameters_of(model))
    unlike, _ = pair_products(model, [pair(s) for s in range(6)], parameters_of(model))
    assert float(alike.cosines.mean()) > float(unlike.cosines.mean()) + 0.2
    assert float(dpo_slopes(model, [pair(0)])[0, 0]) == pytest.approx(0.05, abs=1e-6)
    assert float(alike.cosines.abs().max()) <= 1
