"""SFT against the usual cross-entropy over all tokens; PoFT against DPO and a slow reference."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.objectives.assembly import assemble
from accordant.objectives.batch import loss_totals
from accordant.objectives.inputs import Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.kinds.demonstration import DemonstrationScores
from accordant.objectives.losses.demonstration import poft, sft
from accordant.objectives.losses.pairwise import dpo
from accordant.objectives.registry import get_objective
from accordant.scoring.scores import from_lists
from accordant.tokens.examples import Example, with_answers
from accordant.tokens.trees import TokenTree
from accordant.training.preparations.baselines import with_baselines


def demonstrations(logps: list[list[float]]) -> DemonstrationScores:
    return DemonstrationScores(Sequences(from_lists(logps, dtype=torch.float64)))


def test_the_loss_of_a_batch_is_cross_entropy_averaged_over_its_tokens():
    vocabulary, lengths = 11, [3, 1, 6]
    logits = torch.randn(sum(lengths), vocabulary, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(sum(lengths)) % vocabulary
    usual = torch.nn.functional.cross_entropy(logits, targets)
    logps = logits.log_softmax(-1)[torch.arange(len(targets)), targets]
    total, count = loss_totals(sft(demonstrations([x.tolist() for x in logps.split(lengths)])))
    assert (total / count).item() == pytest.approx(usual.item())


@given(st.lists(st.lists(st.floats(-9, 0), min_size=1, max_size=5), min_size=2, max_size=5))
def test_answers_weigh_as_many_as_they_have_tokens(logps):
    output = sft(demonstrations(logps))
    assert output.weights.tolist() == [len(tokens) for tokens in logps]
    assert output.losses.tolist() == pytest.approx([-sum(t) / len(t) for t in logps])


def against(policy: list[list[float]], *baselines: list[list[float]]) -> DemonstrationScores:
    """Demonstrations with their tokens' log-probabilities, also under baselines."""
    scores, *others = (from_lists(rows, dtype=torch.float64) for rows in (policy, *baselines))
    examples = with_baselines([demonstration()] * len(policy), others)
    return assemble(get_objective("poft"), scores, None, examples)


def demonstration() -> Example:
    return Example("demonstration", (TokenTree((1,), ((2,),)),), 0)


tokens = st.lists(st.floats(-9, 0), min_size=1, max_size=5)


@given(st.lists(st.tuples(tokens, tokens, tokens), min_size=1, max_size=4))
def test_poft_compares_token_means_of_every_model_over_its_own_tokens(rows):
    losses = poft(against(*(list(column) for column in zip(*rows, strict=True)))).losses.tolist()
    for loss, row in zip(losses, rows, strict=True):
        own, *others = (sum(values) / len(values) for values in row)
        margin = own - sum(others) / len(others)
        assert loss == pytest.approx(math.log1p(math.exp(-margin)))


def test_poft_worked_number():
    # S = -1.2 against a baseline's -1.0: -log sigmoid(-0.2).
    output = poft(against([[-1.0, -1.4]], [[-1.5, -0.5]]))
    assert output.losses.item() == pytest.approx(0.798139, abs=1e-6)
    assert output.metrics["baseline/margins"].item() == pytest.approx(-0.2)


def test_an_answer_weighs_less_the_further_the_policy_has_passed_the_baselines():
    scores = against([[-4.0], [-2.0], [-1.0]], [[-2.0], [-2.0], [-2.0]])
    policy = scores.completion.policy.logps.requires_grad_()
    output = poft(scores)
    (gradient,) = torch.autograd.grad(output.losses.sum(), policy)
    assert (-gradient).tolist() == pytest.approx([1 / (1 + math.exp(x)) for x in (-2, 0, 1)])
    torch.testing.assert_close(-gradient, output.metrics["baseline/weights"])


@given(st.floats(-9, 0), st.floats(-9, 0))
def test_poft_is_dpo_without_a_rejected_answer(policy: float, baseline: float):
    # One token, one baseline, beta 1; the rejected answer moves nowhere: h = 0.
    chosen, rejected = (
        Sequences(
            from_lists([[one]], dtype=torch.float64), from_lists([[two]], dtype=torch.float64)
        )
        for one, two in ((policy, baseline), (-1.0, -1.0))
    )
    loss = poft(against([[policy]], [[baseline]])).losses
    torch.testing.assert_close(loss, dpo(PairwiseScores(chosen, rejected), beta=1.0).losses)


@given(tokens, tokens)
def test_the_same_baseline_twice_changes_nothing(policy, baseline):
    once, twice = against([policy], [baseline]), against([policy], [baseline], [baseline])
    torch.testing.assert_close(poft(once).losses, poft(twice).losses)


def test_scores_of_baselines_reach_the_loss_without_gradient_and_on_their_own_tokens():
    other = from_lists([[-2.0, -4.0]])
    other.logps.requires_grad_()
    examples = with_baselines([demonstration()], [other])
    inputs = assemble(get_objective("poft"), from_lists([[-1.0]]), None, examples)
    assert inputs.attached.row("baseline").tolist() == [[-3.0]]
    assert not inputs.attached.row("baseline").requires_grad


def test_an_objective_that_reads_none_is_given_no_scores_of_baselines():
    scores = from_lists([[-1.0]])
    examples = with_baselines([demonstration()], [scores])
    assert assemble(get_objective("sft"), scores, None, examples).attached.numbers == {}


@pytest.mark.parametrize("baselines", [[], [from_lists([[-1.0], [-1.0]])]])
def test_scores_of_no_baseline_or_of_other_answers_are_a_bug(baselines):
    with pytest.raises(ValueError, match="no scores of baselines, or not of 1 answers"):
        with_baselines([demonstration()], baselines)


def test_baselines_score_every_answer_of_a_record_and_no_extra_one():
    pair = Example("comparison", (TokenTree((1,), ((2,), (3,))),), 0)
    both = [from_lists([[-1.0], [-2.0], [-3.0], [-4.0]]), from_lists([[-5.0, -7.0]] * 4)]
    first, second = with_baselines([with_answers(pair, "self_samples", [(4,)]), pair], both)
    assert first.numbers["baseline"] == (-1.0, -6.0, -2.0, -6.0)
    assert second.numbers["baseline"] == (-3.0, -6.0, -4.0, -6.0)


def test_baselines_weigh_as_they_are_told_to():
    scores = against([[-1.0]], [[-2.0]], [[-4.0]])
    for text, mean in (("equal", -3.0), ("1,1", -3.0), ("3,1", -2.5), ("0, 2", -4.0)):
        loss = poft(scores, baseline_weights=text).losses.item()
        assert loss == pytest.approx(math.log1p(math.exp(1.0 + mean)))
    for wrong in ("1", "1,1,1", "a,b", "-1,2", "0,0", "nan,1"):
        with pytest.raises(UserError, match="no weights of 2 baselines"):
            poft(scores, baseline_weights=wrong)
