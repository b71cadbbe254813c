"""Whole distributions hold the log-probabilities the engine returns of single tokens."""

from __future__ import annotations

import pytest
import torch

from accordant.scoring.distributions import next_token_logps
from accordant.scoring.engine import ScoreOptions, score
from accordant.scoring.installation import install
from tests.families import CONFIGS, tiny_model
from tests.scoring.test_engine import TREES


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_they_sum_to_one_and_hold_the_scores(family: str) -> None:
    model = install(tiny_model(family))
    with torch.no_grad():
        scores = score(model, TREES, ScoreOptions(hidden=True))
        assert scores.hidden is not None
        found = next_token_logps(model, scores.hidden)
    targets = torch.tensor([t for tree in TREES for run in tree.continuations for t in run])
    torch.testing.assert_close(found.exp().sum(1), torch.ones(len(targets)))
    torch.testing.assert_close(found.gather(1, targets[:, None])[:, 0], scores.logps)
