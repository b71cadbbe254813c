"""Vectors of prompts against the model's own forward, prompt by prompt."""

from __future__ import annotations

import pytest
import torch

from accordant.scoring.installation import install
from accordant.scoring.pooling import prompt_states
from accordant.scoring.scores import from_lists
from tests.families import tiny_model

PROMPTS = [(5, 9, 2, 7), (3,), (8, 8, 1), (5, 9, 2, 7, 11, 4)]


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
@pytest.mark.parametrize("budget", [1, 8, 4096])
def test_it_is_the_mean_of_the_last_hidden_states_of_the_prompt_alone(family: str, budget: int):
    model = install(tiny_model(family), verify=False)
    states = prompt_states(model, PROMPTS, budget)
    for prompt, state in zip(PROMPTS, states, strict=True):
        backbone = getattr(model, model.base_model_prefix)
        with torch.no_grad():
            hidden = backbone(input_ids=torch.tensor([prompt])).last_hidden_state[0]
        torch.testing.assert_close(state, hidden.mean(0), rtol=1e-4, atol=1e-5)


def test_it_tells_how_far_it_is_and_leaves_the_model_as_it_was():
    model, seen = install(tiny_model("llama"), verify=False).train(), []
    prompt_states(model, PROMPTS, budget=8, progress=seen.append)
    assert seen[-1] == len(PROMPTS)
    assert model.training


def test_sums_over_tokens_take_vectors_too():
    scores = from_lists([[-1.0, -2.0], [-3.0]])
    sums = scores.sum_tokens(torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]))
    assert sums.tolist() == [[3.0, 30.0], [3.0, 30.0]]
