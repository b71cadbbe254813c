"""KTO against a slow reference and TRL's arithmetic, re-derived here."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.batch import column_totals, evaluate
from accordant.objectives.binary import kto
from accordant.objectives.inputs import BinaryScores, Sequences
from accordant.objectives.registry import bind_options, get_objective
from accordant.scoring.scores import from_lists

KTO = get_objective("kto")
ratio = st.floats(-8, 8)


def answers(log_ratios: list[float], desirable: list[bool], mismatched: list[float] | None = None):
    """Answers whose log-ratios are given; the reference gives every answer -10."""

    def sequences(ratios: list[float]) -> Sequences:
        reference = from_lists([[-10.0] for _ in ratios], dtype=torch.float64)
        return Sequences(from_lists([[r - 10.0] for r in ratios], dtype=torch.float64), reference)

    others = None if mismatched is None else sequences(mismatched)
    return BinaryScores(sequences(log_ratios), torch.tensor(desirable), others)


@given(
    st.lists(st.tuples(ratio, st.booleans(), ratio), min_size=1, max_size=6),
    st.floats(0.01, 1),
    st.floats(0.1, 3),
    st.floats(0.1, 3),
)
def test_kto_equals_the_usual_implementation_on_one_batch(rows, beta, wanted, unwanted):
    h = torch.tensor([row[0] for row in rows], dtype=torch.float64)
    up = torch.tensor([row[1] for row in rows])
    mismatched = torch.tensor([row[2] for row in rows], dtype=torch.float64)
    # As in TRL: split by label, one minus a sigmoid each, weighted, and averaged over all.
    kl = mismatched.mean().clamp(min=0)
    chosen = wanted * (1 - torch.sigmoid(beta * (h[up] - kl)))
    rejected = unwanted * (1 - torch.sigmoid(beta * (kl - h[~up])))
    usual = torch.cat([chosen, rejected]).mean()

    options = bind_options(
        KTO, {"beta": beta, "desirable_weight": wanted, "undesirable_weight": unwanted}
    )
    output = evaluate(KTO, answers(h.tolist(), up.tolist(), mismatched.tolist()), options)
    torch.testing.assert_close(output.losses.mean(), usual)
    torch.testing.assert_close(output.rewards, beta * h)
    torch.testing.assert_close(output.metrics["kl"], kl)


def test_kto_worked_numbers():
    # 1 - sigmoid(0.1 (4 - 2)) and 1 - sigmoid(0.1 (2 - 4)), each its own way round.
    output = kto(answers([4.0, 4.0], [True, False]), means=torch.tensor([2.0]), beta=0.1)
    assert output.losses.tolist() == pytest.approx([0.450166, 0.549834], abs=1e-6)


def test_a_negative_mean_gives_a_zero_point_of_zero():
    batch = answers([1.0, -1.0], [True, False])
    below, zero = (kto(batch, means=torch.tensor([m])).losses for m in (-3.0, 0.0))
    torch.testing.assert_close(below, zero)


def test_the_mean_is_clamped_after_averaging_the_global_batch_and_not_before():
    options = bind_options(KTO, {})
    low, high = (answers([0.0], [True], [m]) for m in (-6.0, 2.0))
    totals = column_totals(KTO, low, options) + column_totals(KTO, high, options)
    assert totals.tolist() == [[-4.0], [2.0]]  # clamping each part would give 2 / 2 = 1, not 0


def test_no_gradient_flows_through_the_zero_point():
    batch = answers([1.0, -1.0], [True, False], [2.0, 3.0])
    leaf = batch.mismatched.policy.logps.requires_grad_()
    batch.completion.policy.logps.requires_grad_()
    loss = evaluate(KTO, batch, bind_options(KTO, {})).losses.sum()
    assert torch.autograd.grad(loss, leaf, allow_unused=True) == (None,)


def test_scoring_without_mismatched_answers_is_a_bug_not_a_zero_point():
    with pytest.raises(ValueError, match="mismatched"):
        evaluate(KTO, answers([1.0], [True]), bind_options(KTO, {}))
