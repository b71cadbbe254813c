"""SFT against the usual cross-entropy over all tokens of a batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.batch import loss_totals
from accordant.objectives.demonstration import sft
from accordant.objectives.inputs import DemonstrationScores, Sequences
from accordant.scoring.scores import from_lists


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
