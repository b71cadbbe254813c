"""Values of a head on token trees: those of each sequence alone, with their gradients."""

from __future__ import annotations

import pytest
import torch

from accordant.base.errors import UserError
from accordant.models.heads import ValueHead
from accordant.scoring.engine import ScoreOptions, pack, score, score_all, score_packed
from accordant.scoring.installation import install
from accordant.scoring.scores import from_lists
from accordant.tokens.trees import TokenTree
from tests.families import CONFIGS, tiny_model

TREES = [
    TokenTree(tuple(range(3, 40)), ((11, 12, 13, 14), (15,))),
    TokenTree((40,), ((41, 42, 43),)),
]
HEAD = ValueHead(32, ("a", "b"))


def plain_values(model: torch.nn.Module) -> torch.Tensor:
    backbone = getattr(model, model.base_model_prefix)
    parts = []
    for tree in TREES:
        for continuation in tree.continuations:
            ids = torch.tensor([tree.prompt + continuation])
            hidden = backbone(input_ids=ids, use_cache=False)[0][0, len(tree.prompt) :]
            parts.append(torch.nn.functional.linear(hidden, HEAD.weight, HEAD.bias))
    return torch.cat(parts)


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_values_and_gradients_equal_one_sequence_at_a_time(family: str) -> None:
    model = install(tiny_model(family), verify=False)
    wanted = [*HEAD.parameters(), *(p for p in model.parameters() if p.requires_grad)]
    expected = plain_values(model)
    found = score(model, TREES, ScoreOptions(values=HEAD, logps=False)).values
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    slopes = [
        torch.cat(
            [
                grad.flatten()
                for grad in torch.autograd.grad(values.square().sum(), wanted, allow_unused=True)
                if grad is not None
            ]
        )
        for values in (found, expected)
    ]
    assert (slopes[0] - slopes[1]).norm() < 1e-3 * slopes[1].norm()


def test_values_change_no_log_probability_and_travel_with_the_scores() -> None:
    model = install(tiny_model("llama"))
    plain, found = score(model, TREES), score(model, TREES, ScoreOptions(values=HEAD))
    torch.testing.assert_close(found.logps, plain.logps, atol=1e-5, rtol=0)
    assert plain.values is None
    rows = score_all(model, TREES, budget=1, options=ScoreOptions(values=HEAD))
    torch.testing.assert_close(rows.values, found.values.detach(), atol=1e-4, rtol=1e-4)
    chosen = found.select(torch.tensor([2, 0]))
    assert torch.equal(chosen.values, found.values[[5, 6, 7, 0, 1, 2, 3]])


def test_numbers_are_picked_at_last_tokens_and_at_the_ends_of_steps() -> None:
    scores = from_lists([[0.0] * 4, [0.0], [0.0] * 3])
    values = torch.arange(16.0).reshape(8, 2)
    assert torch.equal(scores.last_tokens(values), values[[3, 4, 7]])
    assert torch.equal(scores.step_tokens(values, [[2, 4], [], [1, 2, 3]]), values[[1, 3, 5, 6, 7]])
    with pytest.raises(ValueError, match=r"steps of an answer of 1 tokens end at \[2\]"):
        scores.step_tokens(values, [[4], [2], [3]])
    with pytest.raises(ValueError, match="shorter"):
        scores.step_tokens(values, [[4], [1]])


def test_a_head_of_another_width_and_a_row_packed_for_none_are_refused() -> None:
    model = install(tiny_model("llama"))
    with pytest.raises(UserError, match="reads states of width 8"):
        score(model, TREES, ScoreOptions(values=ValueHead(8)))
    with pytest.raises(ValueError, match="packed with the options"):
        score_packed(model, pack(model, TREES), ScoreOptions(values=HEAD))
