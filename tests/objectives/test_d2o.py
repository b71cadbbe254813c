"""D2O against DPO, a slow reference and its worked number; labels and self-samples it asks for."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.objectives.assembly import assemble
from accordant.objectives.inputs import Attached, ExtraAnswers, Sequences
from accordant.objectives.kinds.binary import BinaryScores
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.binary import d2o
from accordant.objectives.losses.pairwise import dpo
from accordant.objectives.preparations import Baselines, Mismatched, SelfSamples
from accordant.objectives.registry import get_objective, objective, temporary_objectives
from accordant.scoring.scores import from_lists
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree

ratio = st.floats(-20, 20)
row = st.tuples(ratio, st.lists(ratio, min_size=1, max_size=4))


def sequences(ratios: list[float]) -> Sequences:
    """Answers whose log-ratios are given; the reference gives every answer -30."""
    reference = from_lists([[-30.0] for _ in ratios], dtype=torch.float64)
    return Sequences(from_lists([[r - 30.0] for r in ratios], dtype=torch.float64), reference)


def unwanted(rows: list[tuple[float, list[float]]]) -> BinaryScores:
    """Unwanted answers by log-ratio, each with the log-ratios of its self-samples."""
    owner = [i for i, (_, samples) in enumerate(rows) for _ in samples]
    samples = ExtraAnswers(
        sequences([h for _, samples in rows for h in samples]), torch.tensor(owner)
    )
    labels = torch.tensor([False] * len(rows))
    return BinaryScores(
        sequences([h for h, _ in rows]),
        labels,
        attached=Attached(answers={"self_samples": samples}),
    )


@given(st.lists(row, min_size=1, max_size=4), st.floats(0.01, 2), st.floats(0.01, 2))
def test_d2o_is_written_out_slowly(rows, beta: float, alpha: float):
    output = d2o(unwanted(rows), beta=beta, alpha=alpha)
    for i, (h, samples) in enumerate(rows):
        x = beta * sum(samples) / len(samples) - alpha * h
        slow = math.log1p(math.exp(-x)) if x > -30 else -x
        assert output.losses[i].item() == pytest.approx(slow, rel=1e-6, abs=1e-9)
        assert output.rewards[i].item() == pytest.approx(alpha * h)
        anchor = output.metrics["rewards/self_samples"][i].item()
        assert anchor == pytest.approx(beta * sum(samples) / len(samples))


def test_d2o_worked_number():
    # Self-samples at 1 and 3, the unwanted answer at 4: -log sigmoid(0.2 - 0.4).
    loss = d2o(unwanted([(4.0, [1.0, 3.0])]), beta=0.1, alpha=0.1).losses.item()
    assert loss == pytest.approx(0.798139, abs=1e-6)


@given(st.lists(st.tuples(ratio, ratio), min_size=1, max_size=4), st.floats(0.01, 2))
def test_with_one_sample_and_equal_weights_d2o_is_dpo(rows, beta: float):
    own = d2o(unwanted([(h, [s]) for h, s in rows]), beta=beta, alpha=beta)
    pairs = PairwiseScores(sequences([s for _, s in rows]), sequences([h for h, _ in rows]))
    torch.testing.assert_close(own.losses, dpo(pairs, beta=beta).losses)


@given(row, st.floats(0.01, 2))
def test_the_loss_is_at_most_the_average_of_dpo_over_the_samples(one, beta: float):
    h, samples = one
    loss = d2o(unwanted([one]), beta=beta, alpha=beta).losses.item()
    pairs = PairwiseScores(sequences(samples), sequences([h] * len(samples)))
    assert loss <= dpo(pairs, beta=beta).losses.mean().item() + 1e-9


def test_the_unwanted_answer_falls_and_every_sample_rises_by_its_share():
    scores = unwanted([(1.0, [0.0, 2.0])])
    answer = scores.completion.policy.logps.requires_grad_()
    samples = scores.attached.extra("self_samples").answers.policy.logps.requires_grad_()
    loss = d2o(scores, beta=0.5, alpha=0.2).losses.sum()
    down, up = torch.autograd.grad(loss, (answer, samples))
    weight = 1 / (1 + math.exp(0.5 - 0.2))
    assert down.tolist() == pytest.approx([0.2 * weight])
    assert up.tolist() == pytest.approx([-0.25 * weight, -0.25 * weight])


def example(label: bool, samples: int, index: int = 0) -> Example:
    tree = TokenTree((1,), ((2,),) * (1 + samples))
    return Example(
        "binary", (tree,), index, label, extra_answers={"self_samples": samples} if samples else {}
    )


def numbered(count: int):
    return from_lists([[-float(i + 1)] for i in range(count)])


def test_self_samples_are_kept_apart_whatever_their_number():
    examples = [example(False, 2), example(False, 1)]
    inputs = assemble(get_objective("d2o"), numbered(5), numbered(5), examples)
    assert inputs.completion.policy.sum().tolist() == [-1.0, -4.0]
    samples = inputs.attached.extra("self_samples")
    assert samples.answers.policy.sum().tolist() == [-2.0, -3.0, -5.0]
    assert samples.example.tolist() == [0, 0, 1]
    assert samples.mean(torch.tensor([2.0, 4.0, 7.0])).tolist() == [3.0, 7.0]


def test_any_kind_of_feedback_may_come_with_self_samples():
    with temporary_objectives():

        @objective(
            name="spin",
            feedback="demonstration",
            needs_reference=True,
            prepare=(SelfSamples("samples"),),
            paper="none",
            formula="none",
        )
        def spin(demonstrations, *, samples: int = 1):
            """Self-play."""
            raise AssertionError

        tree = TokenTree((1,), ((2,), (3,)))
        examples = [Example("demonstration", (tree,), 0, extra_answers={"self_samples": 1})] * 2
        inputs = assemble(get_objective("spin"), numbered(4), numbered(4), examples)
    assert inputs.completion.policy.sum().tolist() == [-1.0, -3.0]
    assert inputs.attached.extra("self_samples").answers.log_ratio().tolist() == [0.0, 0.0]


def test_an_objective_that_reads_none_is_not_disturbed_by_self_samples():
    inputs = assemble(get_objective("kto"), *_kto_scores(), [_kto_example()])
    assert inputs.completion.policy.sum().tolist() == [-1.0]
    assert inputs.attached.extra("mismatched").answers.policy.sum().tolist() == [-2.0]
    assert set(inputs.attached.answers) == {"mismatched"}


def _kto_scores():
    return numbered(3), numbered(3)


def _kto_example() -> Example:
    tree = TokenTree((1,), ((2,),) * 3)
    extra = {"mismatched": 1, "self_samples": 1}
    return Example("binary", (tree,), 0, label=True, extra_answers=extra)


def test_wanted_answers_are_refused_with_row_count_and_a_way_out():
    with pytest.raises(UserError) as error:
        assemble(
            get_objective("d2o"),
            numbered(4),
            numbered(4),
            [example(False, 1), example(True, 1, index=6)],
        )
    text = str(error.value)
    assert "example 6" in text
    assert "learns from rows with `label` false, found true here and 1 such rows in 2" in text
    assert "Keep the rows with `label` false" in text


def test_preparations_go_together_in_any_number():
    with temporary_objectives():

        @objective(
            name="all",
            feedback="binary",
            needs_reference=False,
            prepare=(Mismatched(), SelfSamples("samples"), Baselines()),
            paper="none",
            formula="none",
        )
        def everything(answers, *, samples: int = 1):
            """Everything at once."""
            raise AssertionError

        made = [
            Example(
                "binary",
                (TokenTree((1,), ((2,),) * 4),),
                0,
                label=True,
                numbers={"baseline": (-0.5, -0.25 * n)},
                extra_answers={"mismatched": 1, "self_samples": 2},
            )
            for n in range(2)
        ]
        inputs = assemble(get_objective("all"), numbered(8), None, made)
    assert inputs.completion.policy.sum().tolist() == [-1.0, -5.0]
    assert inputs.attached.extra("mismatched").answers.policy.sum().tolist() == [-2.0, -6.0]
    samples = inputs.attached.extra("self_samples")
    assert samples.answers.policy.sum().tolist() == [-3.0, -4.0, -7.0, -8.0]
    assert samples.example.tolist() == [0, 0, 1, 1]
    assert inputs.attached.row("baseline").tolist() == [[-0.5, 0.0], [-0.5, -0.25]]


def test_an_objective_with_self_samples_says_how_many():
    register = objective(
        name="odd",
        feedback="binary",
        needs_reference=True,
        prepare=(SelfSamples("samples"),),
        paper="p",
        formula="f",
    )

    def odd(answers: BinaryScores):
        """No option."""

    with pytest.raises(TypeError, match="needs an option `samples`"):
        register(odd)
