"""Contrastive unlikelihood against a slow float64 reference, worked numbers and its limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.inputs import Sequences
from accordant.objectives.kinds.demonstration import DemonstrationScores
from accordant.objectives.kinds.judgment import JudgmentScores
from accordant.objectives.losses.demonstration import sft
from accordant.objectives.losses.token import complained_of, cut, log_rest
from accordant.scoring.scores import from_lists

token = st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99))  # judged and plain probability
answer = st.tuples(st.lists(token, min_size=1, max_size=4), st.booleans())


def judgments(rows: list[tuple[list[tuple[float, float]], bool]]) -> JudgmentScores:
    """Answers with (judged, plain) probabilities of their tokens, and whether they are good."""

    def sequences(side: int) -> Sequences:
        logps = [[math.log(pair[side]) for pair in tokens] for tokens, _ in rows]
        return Sequences(from_lists(logps, dtype=torch.float64))

    return JudgmentScores(sequences(0), sequences(1), torch.tensor([good for _, good in rows]))


@given(st.lists(answer, min_size=1, max_size=4), st.floats(0.5, 2), st.floats(0, 2))
def test_cut_is_written_out_slowly(rows, threshold: float, alpha: float):
    output = cut(judgments(rows), threshold=threshold, alpha=alpha)
    for i, (tokens, good) in enumerate(rows):
        contrast = imitation = 0.0
        for judged, plain in tokens:
            flagged = not good and math.exp(math.log(judged) - math.log(plain)) > threshold
            contrast += -alpha * math.log(1 - plain) if flagged else -math.log(plain)
            imitation -= math.log(judged)
        # As in the authors' code, a good answer is read without a judgment, and counts whole.
        slow = (contrast if good else (imitation + contrast) / 2) / len(tokens)
        assert output.losses[i].item() == pytest.approx(slow, rel=1e-9)
    assert output.weights is None


def test_a_flagged_token_costs_its_unlikelihood():
    # -log(1 - 0.6), whatever the judgment made of it: no power of p in front.
    scores = judgments([([(0.9, 0.6)], False)])
    loss = cut(scores, threshold=1.2, alpha=1.0).losses.item()
    assert 2 * loss + math.log(0.9) == pytest.approx(0.916291, abs=1e-6)
    doubled = cut(scores, threshold=1.2, alpha=2.0).losses.item()
    assert 2 * doubled + math.log(0.9) == pytest.approx(2 * 0.916291, abs=1e-6)


def test_only_a_token_the_judgment_makes_much_likelier_is_flagged():
    rows = [([(0.6, 0.5), (0.61, 0.5), (0.1, 0.9)], False), ([(0.9, 0.1)], True)]
    assert complained_of(judgments(rows), 1.201).tolist() == [False, True, False, False]
    output = cut(judgments(rows), threshold=1.201)
    assert output.metrics["flagged"].tolist() == pytest.approx([1 / 3, 0])


@given(st.lists(answer, min_size=1, max_size=4))
def test_with_a_high_threshold_cut_imitates_bad_answers_in_both_readings(rows):
    scores = judgments(rows)
    judged, plain = (
        sft(DemonstrationScores(side)).losses for side in (scores.judged, scores.plain)
    )
    expected = torch.where(scores.good, plain, (judged + plain) / 2)
    torch.testing.assert_close(cut(scores, threshold=1e9).losses, expected)


def test_the_judgment_of_a_good_answer_changes_nothing():
    scores = judgments([([(0.9, 0.3), (0.2, 0.4)], True)])
    judged = scores.judged.policy.logps.requires_grad_()
    losses = cut(scores).losses
    assert losses.item() == pytest.approx(-(math.log(0.3) + math.log(0.4)) / 2)
    assert torch.autograd.grad(losses.sum(), judged, allow_unused=True)[0].eq(0).all()


@given(st.lists(answer, min_size=1, max_size=4))
def test_with_a_low_threshold_every_token_of_a_bad_answer_is_made_unlikely(rows):
    scores = judgments(rows)
    plain = scores.plain.policy.logps.requires_grad_()
    (gradient,) = torch.autograd.grad(cut(scores, threshold=1e-9).losses.sum(), plain)
    pushed_down = gradient > 0
    assert pushed_down.tolist() == (~scores.good[scores.plain.policy.owner]).tolist()


@given(st.lists(answer, min_size=1, max_size=4), st.floats(0.1, 3), st.floats(0.1, 3))
def test_a_higher_threshold_flags_no_more(rows, one: float, other: float):
    scores = judgments(rows)
    lower, higher = sorted((one, other))
    assert not (complained_of(scores, higher) & ~complained_of(scores, lower)).any()


def test_the_gradient_of_unlikelihood_is_that_of_minus_log_of_one_minus_p():
    logps = torch.tensor([0.6, 0.9, 0.01], dtype=torch.float64).log().requires_grad_()
    (gradient,) = torch.autograd.grad((-log_rest(logps)).sum(), logps)
    p = logps.detach().exp()
    # d/dp of -log(1 - p) is 1 / (1 - p), and dp/dlogp is p.
    torch.testing.assert_close(gradient, p / (1 - p))
    assert (gradient > 0).all()


def test_a_certain_token_has_a_finite_loss_and_gradient():
    logps = torch.zeros(1, requires_grad=True)
    value = -log_rest(logps)
    (gradient,) = torch.autograd.grad(value.sum(), logps)
    assert value.item() == pytest.approx(-math.log(1e-5), rel=1e-5)
    assert math.isfinite(gradient.item())
    assert gradient.item() > 0


def test_which_tokens_are_flagged_carries_no_gradient_to_the_reading_with_the_judgment():
    scores = judgments([([(0.9, 0.3), (0.2, 0.4)], False)])
    judged = scores.judged.policy.logps.requires_grad_()
    (gradient,) = torch.autograd.grad(cut(scores).losses.sum(), judged)
    # Half of the mean over two tokens: imitation alone, flagged or not.
    assert gradient.tolist() == [-0.25, -0.25]
