"""KTO and BCO against slow references and the usual arithmetic, re-derived here."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.batch import column_totals, evaluate
from accordant.objectives.inputs import Attached, ExtraAnswers, Sequences
from accordant.objectives.kinds.binary import BinaryScores
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.binary import bco, kto
from accordant.objectives.losses.pairwise import dpo
from accordant.objectives.registry import bind_options, get_objective
from accordant.scoring.scores import from_lists

KTO = get_objective("kto")
BCO = get_objective("bco")
ratio = st.floats(-8, 8)


def answers(log_ratios: list[float], desirable: list[bool], mismatched: list[float] | None = None):
    """Answers whose log-ratios are given; the reference gives every answer -10."""

    def sequences(ratios: list[float]) -> Sequences:
        reference = from_lists([[-10.0] for _ in ratios], dtype=torch.float64)
        return Sequences(from_lists([[r - 10.0] for r in ratios], dtype=torch.float64), reference)

    extra = {}
    if mismatched is not None:
        owner = torch.arange(len(mismatched))
        extra["mismatched"] = ExtraAnswers(sequences(mismatched), owner)
    return BinaryScores(
        sequences(log_ratios), torch.tensor(desirable), attached=Attached(answers=extra)
    )


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
    leaf = batch.attached.extra("mismatched").answers.policy.logps.requires_grad_()
    batch.completion.policy.logps.requires_grad_()
    loss = evaluate(KTO, batch, bind_options(KTO, {})).losses.sum()
    assert torch.autograd.grad(loss, leaf, allow_unused=True) == (None,)


def test_scoring_without_mismatched_answers_is_a_bug_not_a_zero_point():
    with pytest.raises(ValueError, match="mismatched"):
        evaluate(KTO, answers([1.0], [True]), bind_options(KTO, {}))


rows_of_answers = st.lists(st.tuples(ratio, st.booleans()), min_size=1, max_size=6)


def run_bco(batch: BinaryScores, **options: object):
    return evaluate(BCO, batch, bind_options(BCO, options))


@given(rows_of_answers, st.floats(0.01, 1))
def test_bco_without_shift_and_prompt_weights_is_binary_cross_entropy(rows, beta):
    h = torch.tensor([row[0] for row in rows], dtype=torch.float64)
    up = torch.tensor([row[1] for row in rows])
    losses = run_bco(answers(h.tolist(), up.tolist()), beta=beta, shift=False).losses
    usual = torch.nn.functional.binary_cross_entropy_with_logits(
        beta * h, up.double(), reduction="none"
    )
    torch.testing.assert_close(losses, usual)


def test_bco_worked_numbers():
    # Rewards 1.2 and -0.4: the shift is 0.4 and both stand 0.8 on their own side of it.
    pair = answers([1.2, -0.4], [True, False])
    output = run_bco(pair, beta=1.0)
    assert output.metrics["delta"].item() == pytest.approx(0.4)
    assert output.losses.sum().item() == pytest.approx(0.742201, abs=1e-6)
    compared = PairwiseScores(*(pair.completion.select(torch.tensor([i])) for i in (0, 1)))
    assert dpo(compared, beta=1.0).losses.item() == pytest.approx(0.183901, abs=1e-6)


@given(ratio, ratio, st.floats(0.01, 1), st.booleans())
def test_bco_of_a_pair_is_at_least_its_dpo_loss(wanted, unwanted, beta, shift):
    pair = answers([wanted, unwanted], [True, False])
    compared = PairwiseScores(*(pair.completion.select(torch.tensor([i])) for i in (0, 1)))
    bound = run_bco(pair, beta=beta, shift=shift).losses.sum()
    assert bound >= dpo(compared, beta=beta).losses.item() - 1e-9


@given(rows_of_answers, st.floats(-5, 5), st.floats(-5, 5))
def test_a_constant_in_all_rewards_and_in_the_shift_changes_no_bco_loss(rows, constant, shift):
    h, up = [row[0] for row in rows], [row[1] for row in rows]
    losses = [
        bco(
            answers([x + c for x in h], up),
            means=torch.full((2,), shift + c, dtype=torch.float64),
            beta=1.0,
        ).losses
        for c in (0.0, constant)
    ]
    torch.testing.assert_close(*losses)


def test_the_shift_lies_halfway_between_the_labels_however_many_each_has():
    batch = answers([2.0, 4.0, 6.0, -1.0], [True, True, True, False])
    assert run_bco(batch, beta=1.0).metrics["delta"].item() == pytest.approx((4.0 - 1.0) / 2)


@pytest.mark.parametrize(("label", "delta"), [(True, 1.5), (False, 1.5)])
def test_a_label_that_the_batch_lacks_counts_as_a_mean_of_zero(label, delta):
    output = run_bco(answers([2.0, 4.0], [label, label]), beta=1.0)
    assert output.metrics["delta"].item() == pytest.approx(delta)


def test_no_gradient_flows_through_the_shift():
    batch = answers([1.0, -0.5], [True, False])
    leaf = batch.completion.policy.logps.requires_grad_()
    gradient = torch.autograd.grad(run_bco(batch, beta=1.0).losses.sum(), leaf)[0]
    # As with a shift that is given: -sigmoid(d - r) for the wanted, sigmoid(r - d) for the other.
    expected = [-1 / (1 + torch.tensor(0.75).exp()), 1 / (1 + torch.tensor(0.75).exp())]
    assert gradient.tolist() == pytest.approx([float(x) for x in expected])


def test_prompt_weights_weigh_unwanted_answers_alone_and_within_limits():
    weights = torch.tensor([[9.0], [0.1], [2.0], [99.0]], dtype=torch.float64)
    batch = replace(
        answers([0.0] * 4, [True, False, False, False]),
        attached=Attached({"prompt_weight": weights}),
    )
    plain, matched = (run_bco(batch, match_prompts=choice).losses for choice in (False, True))
    assert (matched / plain).tolist() == pytest.approx([1.0, 0.1, 2.0, 10.0])
    narrow = run_bco(batch, match_prompts=True, min_density_ratio=0.5)
    assert (narrow.losses / plain).tolist() == pytest.approx([1.0, 0.5, 2.0, 10.0])
    wider = run_bco(batch, match_prompts=True, min_density_ratio=0.05, max_density_ratio=200.0)
    assert (wider.losses / plain).tolist() == pytest.approx([1.0, 0.1, 2.0, 99.0])


def test_prompts_that_were_not_weighed_is_a_bug_not_a_weight_of_one():
    with pytest.raises(ValueError, match="'prompt_weight' is attached to none"):
        run_bco(answers([1.0], [False]), match_prompts=True)
