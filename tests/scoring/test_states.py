"""States of token trees against the model's own forward, one sequence at a time."""

from __future__ import annotations

import pytest
import torch

from accordant.models.hooks import Edit, captured, edited
from accordant.scoring.installation import install
from accordant.scoring.states import read_states
from accordant.tokens.trees import TokenTree
from tests.families import CONFIGS, tiny_model

PLACES = [(layer, site) for layer in (0, 1, -1) for site in ("layer", "heads", "mlp")]
LONG = tuple(range(50, 70))  # long enough for neighbours to share it
TREES = [
    TokenTree((*LONG, 3), ((11, 12, 13, 14), (15,))),
    TokenTree((*LONG, 4, 5), ((16, 17),)),
    TokenTree((40,), ((41, 42, 43),)),
    TokenTree(LONG, ((44,), (45, 46))),
]


def plain(model: torch.nn.Module, tokens: tuple[int, ...]) -> dict:
    with torch.no_grad(), captured(model, PLACES) as states:
        type(model).forward(model, input_ids=torch.tensor([tokens]), use_cache=False)
    return {place: found[0] for place, found in states.items()}


def pooled(states: torch.Tensor, pool: str) -> torch.Tensor:
    return {"last": states[-1:], "mean": states.mean(0, keepdim=True), "all": states}[pool]


@pytest.mark.parametrize("family", sorted(CONFIGS))
@pytest.mark.parametrize("of", ["prompt", "continuation"])
def test_they_equal_those_of_one_sequence_at_a_time(family: str, of: str) -> None:
    model = install(tiny_model(family), verify=False).train()
    for pool, budget in (("last", 4096), ("mean", 26), ("all", 1)):
        found = read_states(model, TREES, PLACES, of=of, pool=pool, budget=budget)
        model.eval()
        expected = {place: [] for place in PLACES}
        for tree in TREES:
            for continuation in tree.continuations if of == "continuation" else ((),):
                for place, states in plain(model, tree.prompt + continuation).items():
                    kept = states[len(tree.prompt) :] if continuation else states
                    expected[place].append(pooled(kept, pool))
        model.train()
        for place in PLACES:
            torch.testing.assert_close(
                found[place], torch.cat(expected[place]), atol=2e-4, rtol=1e-3
            )
    assert model.training


def test_inside_edits_they_are_the_edited_ones_and_progress_counts_tokens() -> None:
    model, seen = install(tiny_model("llama")), []
    before = read_states(model, TREES, [(1, "layer")], budget=30, progress=seen.append)
    assert sum(seen) == sum(tree.num_tokens for tree in TREES)
    assert len(seen) > 1
    with edited(model, [Edit(1, "layer", lambda states: -states)]):
        after = read_states(model, TREES, [(1, "layer")])
    torch.testing.assert_close(after[1, "layer"], -before[1, "layer"])
