"""The check of gradient entanglement: planted pairs that move together are found."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from accordant.base.errors import UserError
from accordant.checks.before.gradient_entanglement import gradient_entanglement
from accordant.checks.gradients import pair_products, parameters_of
from accordant.checks.registry import get_check
from accordant.feedback.records import Comparison
from tests.checks.before.feedback import comparisons
from tests.checks.before.modelled import make_inputs


def pairs(*, alike: bool, count: int = 12) -> list[Comparison]:
    """Short pairs; the rejected one of those that are alike says the chosen one three times."""
    made = comparisons(count, seed=7)
    return [
        dataclasses.replace(
            one,
            prompt=one.prompt[:16],
            chosen=one.chosen[: 8 if alike else 24],
            rejected=one.chosen[:8] * 3 if alike else one.rejected[:24],
        )
        for one in made
    ]


def test_pairs_that_share_their_gradient_are_found() -> None:
    found = gradient_entanglement(make_inputs(pairs(alike=True)))
    assert found.severity in ("warning", "serious")
    assert found.number.estimate > 0.5
    assert found.concerned == round(found.number.estimate * found.number.count)
    assert all("would not" in row.note and "tokens fall" in row.note for row in found.rows)
    assert "all weights" in found.quantity


def test_pairs_of_unlike_answers_are_not() -> None:
    found = gradient_entanglement(make_inputs(pairs(alike=False)))
    assert found.severity == "ok"
    assert found.rows == ()
    assert found.concerned == 0


def test_the_numbers_are_those_of_the_gradients() -> None:
    ready = make_inputs(pairs(alike=True, count=6))
    found = gradient_entanglement(ready)
    assert ready.encoded is not None
    examples = ready.encoded.examples
    products, _ = pair_products(ready.model, examples, parameters_of(ready.model))
    broken = (products.inner >= products.chosen) | (products.inner >= products.rejected)
    assert found.number.estimate == float(broken.double().mean())
    xs, ys = found.charts[0].series[0].xs, found.charts[0].series[0].values
    torch.testing.assert_close(torch.tensor(xs).double(), products.inner / products.chosen)
    torch.testing.assert_close(torch.tensor(ys).double(), products.inner / products.rejected)


def test_the_likelihood_of_the_chosen_answer_loosens_the_condition() -> None:
    ready = make_inputs(pairs(alike=True))
    shares = {
        method: gradient_entanglement(ready, method=method, beta=beta, tokens="none")
        for method, beta in (("dpo", None), ("orpo", None), ("cpo", 0.01))
    }
    sides = {
        method: next(m for m in one.measures if m.name == "chosen answer would not rise")
        for method, one in shares.items()
    }
    assert sides["cpo"].number.estimate < sides["dpo"].number.estimate


def test_a_sample_is_looked_at_and_costed() -> None:
    seen: list[int] = []
    ready = make_inputs(pairs(alike=True), advance=seen.append)
    found = gradient_entanglement(ready, pairs=5, shown=2, layers=1)
    assert found.number.count == 5
    assert "the last 1 layers" in found.quantity
    costs = get_check("gradient-entanglement").costs(ready, {"pairs": 5, "shown": 2})
    assert sum(seen) == pytest.approx(sum(costs.values()), rel=0.1)
    again = gradient_entanglement(dataclasses.replace(ready, seed=1, shared={}), pairs=5, shown=2)
    assert again.number.count == 5


def test_tokens_by_all_weights_agree_with_the_pair() -> None:
    found = gradient_entanglement(make_inputs(pairs(alike=True, count=4)), tokens="all", shown=1)
    assert "chosen tokens fall" in found.rows[0].note
    rounded = make_inputs(pairs(alike=True, count=4)).model.bfloat16()
    ready = make_inputs(pairs(alike=True, count=4), model=rounded)
    with pytest.raises(UserError, match="bfloat16"):
        gradient_entanglement(ready, tokens="all", shown=1)


def test_a_loss_that_reads_more_than_two_answers_is_refused() -> None:
    ready = make_inputs(pairs(alike=False, count=2))
    with pytest.raises(UserError, match="reads more"):
        gradient_entanglement(ready, method="mm_dpo")
    with pytest.raises(UserError, match="there is no objective"):
        gradient_entanglement(ready, method="dqo")
