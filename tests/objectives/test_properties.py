"""What holds for every registered objective; a new one is tested by being registered."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.objectives.assembly import assemble
from accordant.objectives.batch import evaluate, family_metrics, loss_totals
from accordant.objectives.registry import Objective, bind_options, is_built_in, list_objectives
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from tests.objectives.generators import (
    Case,
    attach,
    build,
    cases,
    flat_scores,
    global_means,
    gradient_sums,
    options_of,
)

OBJECTIVES = [pytest.param(o, id=o.name) for o in list_objectives() if is_built_in(o)]

# Objectives whose gradient is, on purpose, not that of the number they return (a rank, a mask or a
# weight is held constant): name and reason. Each has an exact test of its gradient of its own.
HELD_CONSTANT: dict[str, str] = {
    "aft": "the boundary and the score it is measured from are held constant",
    "tdpo": "the chosen answer's divergence is held constant",
    "f_dpg": "the number is a divergence, the gradient a policy gradient",
}
# Objectives that push an answer the other way by design: name and reason.
UNUSUAL_DIRECTION: dict[str, str] = {
    "apo_down": "both answers are lowered where the policy is still near the reference",
    "lipo_pointwise": "every answer is drawn to its label, from either side",
}

every_objective = pytest.mark.parametrize("objective", OBJECTIVES)
# Few, as they are drawn for every objective: the whole table stays within a minute.
few_examples = settings(max_examples=8)


@every_objective
@given(data=st.data())
@few_examples
def test_gradients_equal_finite_differences_in_float64(objective: Objective, data: st.DataObject):
    if objective.name in HELD_CONSTANT:
        pytest.skip(HELD_CONSTANT[objective.name])
    case = data.draw(cases(objective))
    options = data.draw(options_of(objective))
    means = global_means(objective, [case], options)

    def losses(logps: torch.Tensor) -> torch.Tensor:
        inputs, _ = build(objective, case, logps=logps)
        return evaluate(objective, inputs, options, means).losses

    leaf = flat_scores(case.policy, torch.float64).logps.requires_grad_()
    assert torch.autograd.gradcheck(losses, (leaf,), fast_mode=True)


@every_objective
@given(data=st.data())
@few_examples
def test_order_of_the_batch_changes_nothing_but_the_order_of_losses(
    objective: Objective, data: st.DataObject
):
    case = data.draw(cases(objective, min_examples=2))
    options = data.draw(options_of(objective))
    order = data.draw(st.permutations(range(len(case.examples))))
    straight = evaluate(objective, build(objective, case)[0], options)
    permuted = evaluate(objective, build(objective, case.take(order))[0], options)
    torch.testing.assert_close(permuted.losses, straight.losses[list(order)])
    if straight.weights is not None:
        torch.testing.assert_close(permuted.weights, straight.weights[list(order)])


@every_objective
@given(data=st.data())
@few_examples
def test_splitting_the_batch_changes_neither_loss_nor_gradient_nor_metrics(
    objective: Objective, data: st.DataObject
):
    case = data.draw(cases(objective, min_examples=2))
    options = data.draw(options_of(objective))
    cut = data.draw(st.integers(1, len(case.examples) - 1))
    parts = [case.take(range(cut)), case.take(range(cut, len(case.examples)))]
    means = global_means(objective, parts, options)

    whole = _totals(objective, [case], options, None)
    split = _totals(objective, parts, options, means)
    for one, other in zip(whole, split, strict=True):
        torch.testing.assert_close(other, one)


@every_objective
@given(data=st.data())
@few_examples
def test_losses_and_gradients_stay_finite_at_extreme_margins_in_float32(
    objective: Objective, data: st.DataObject
):
    case = data.draw(cases(objective))
    logps = st.sampled_from([-1e-4, -1.0, -1e4])
    totals = {
        (e, c): data.draw(logps) for e, row in enumerate(case.policy) for c in range(len(row))
    }
    extreme = case.with_totals(lambda e, c: totals[e, c])
    inputs, leaf = build(objective, extreme, torch.float32)
    output = evaluate(objective, inputs, bind_options(objective, {}))
    total, count = loss_totals(output)
    (gradient,) = torch.autograd.grad(total / count, leaf)
    assert output.losses.dtype == torch.float32
    for numbers in (output.losses, gradient, family_metrics(inputs, output).values):
        assert numbers.isfinite().all()


@every_objective
def test_descent_raises_what_was_preferred_and_lowers_what_was_not(objective: Objective):
    if objective.name in UNUSUAL_DIRECTION:
        pytest.skip(UNUSUAL_DIRECTION[objective.name])
    for kind, case in _misordered(objective).items():
        for example, row in zip(
            case.examples, gradient_sums(objective, case, torch.float64), strict=True
        ):
            if kind in ("comparison", "joint_pair", "ranking"):
                assert row[0] < 0 < row[-1]
            elif kind == "binary":
                assert row[0] < 0 if example.label else row[0] > 0
                samples = example.extra_answers.get("self_samples", 0)
                assert all(total < 0 for total in row[len(row) - samples :])
            elif kind == "judgment":
                # Good answers are imitated without their judgment, bad ones with it.
                assert row[int(bool(example.label))] < 0
                assert not example.label or row[0] == 0
            else:
                assert row[0] < 0


@every_objective
@given(data=st.data())
@few_examples
def test_the_reference_and_what_is_logged_carry_no_gradient(
    objective: Objective, data: st.DataObject
):
    case = data.draw(cases(objective))
    policy, reference = (flat_scores(rows, torch.float32) for rows in (case.policy, case.reference))
    policy.logps.requires_grad_()
    reference.logps.requires_grad_()
    inputs = assemble(objective, policy, reference, case.examples)
    output = evaluate(objective, inputs, bind_options(objective, {}))
    gradient = torch.autograd.grad(output.losses.sum(), reference.logps, allow_unused=True)
    assert gradient == (None,)
    logged = [output.rewards, output.weights, *(output.metrics or {}).values()]
    assert not any(x.requires_grad for x in logged if x is not None)


@every_objective
@given(data=st.data())
@few_examples
def test_there_is_one_loss_per_example_and_one_reward_per_answer(
    objective: Objective, data: st.DataObject
):
    case = data.draw(cases(objective))
    inputs, _ = build(objective, case, torch.float32)
    output = evaluate(objective, inputs, bind_options(objective, {}))
    assert output.losses.shape == (len(case.examples),)
    answers = sum(
        len(row) - sum(example.extra_answers.values())
        for row, example in zip(case.policy, case.examples, strict=True)
    )
    assert output.rewards is None or output.rewards.shape == (answers,)
    assert output.weights is None or output.weights.shape == output.losses.shape


def _totals(objective: Objective, parts: list[Case], options: dict, means: torch.Tensor | None):
    """Loss, gradient by token and metric totals of a batch given in parts."""
    total, count, gradients, metrics = torch.zeros(()).double(), torch.zeros(()).double(), [], []
    leaves = []
    for part in parts:
        inputs, leaf = build(objective, part)
        output = evaluate(objective, inputs, options, means)
        part_total, part_count = loss_totals(output)
        total, count = total + part_total, count + part_count
        leaves.append(leaf)
        metrics.append(family_metrics(inputs, output))
    loss = total / count
    gradients = torch.cat(torch.autograd.grad(loss, leaves))
    values = metrics[0] if len(metrics) == 1 else metrics[0] + metrics[1]
    return loss.detach(), gradients, values.values


def _misordered(objective: Objective) -> dict[str, Case]:
    """For each kind of feedback a batch the policy has got the wrong way round."""
    found = {}
    for kind in objective.feedback:
        answers = {"demonstration": 1, "binary": 1, "ranking": 3}.get(kind, 2)
        trees = (TokenTree((1,), ((2,),) * answers),)
        if kind in ("joint_pair", "judgment"):
            trees = tuple(TokenTree((1,), ((2,),)) for _ in range(answers))
        labels = (True, False) if kind == "binary" else (None, None)
        labels = (objective.labels * 2)[:2] or labels
        numbers = {"votes": (2.0, 1.0), "reward_gap": (1.0,), "baseline": (-3.0,)}
        extra = {"mismatched": [1], "self_samples": [1]}
        examples = tuple(
            attach(objective, Example(kind, trees, i, label), numbers, extra)
            for i, label in enumerate(labels)
        )
        answers += sum(examples[0].extra_answers.values())
        empty = Case(examples, (((0.0,),) * answers,) * 2, ())
        wrong = {
            (e, c): -2.0 if labels[e] is False else -8.0 + 2 * c
            for e, c in itertools.product(range(2), range(answers))
        }
        found[kind] = empty.with_totals(lambda e, c, wrong=wrong: wrong[e, c])
    return found
