"""Every family is scored as by plain transformers, one sequence at a time; where it can, shared."""

from __future__ import annotations

import copy

import pytest
import torch

from accordant.models.families import why_apart
from accordant.models.heads import ValueHead
from accordant.models.hooks import backbone_of, captured
from accordant.scoring import installation
from accordant.scoring.apart import ApartTensors, plain_logps, sharing_of
from accordant.scoring.distributions import next_token_logps
from accordant.scoring.engine import PackedTensors, ScoreOptions, pack, score, score_all
from accordant.scoring.installation import install
from accordant.scoring.states import read_states
from tests.families import APART, MORE, tiny_model
from tests.scoring.test_engine import gradients, random_trees, weighted

# Short beside long, longer than the windows and the rope switches of the configurations.
TREES = random_trees(5, [(7, (5, 9)), (30, (3, 20, 1)), (1, (4,)), (12, (8, 8))])


@pytest.mark.parametrize("family", sorted(MORE))
def test_scores_and_gradients_equal_plain_transformers(family: str) -> None:
    plain = tiny_model(family)
    model = install(copy.deepcopy(plain))
    assert bool(sharing_of(model).reason) == (family in APART)
    assert bool(why_apart(plain.config)) == (family in APART)
    expected = torch.cat([part for tree in TREES for part in plain_logps(plain, tree)])
    found = score(model, TREES).logps
    assert (found - expected).abs().max() < 1e-4
    theirs, ours = gradients(plain, weighted(expected)), gradients(model, weighted(found))
    assert (ours - theirs).norm() / theirs.norm() < 1e-4


@pytest.mark.parametrize("family", ["mamba", "gpt-oss", "rope-long", "gptj", "mpt"])
def test_everything_else_is_read_apart_too(family: str) -> None:
    model, plain = install(tiny_model(family)), tiny_model(family)
    head = ValueHead(32, ("a", "b"))
    options = ScoreOptions(entropy=True, top_k=3, hidden=True, values=head)
    found = score_all(model, TREES, budget=40, options=options)
    states = read_states(model, TREES, [(0, "layer")], pool="all", budget=40)[0, "layer"]
    hidden, own, logits, first = [], [], [], []
    for tree in TREES:
        for run in tree.continuations:
            ids = torch.tensor([tree.prompt + run])
            with torch.no_grad(), captured(plain, [(0, "layer")]) as kept:
                last = backbone_of(plain)(input_ids=ids, use_cache=False)[0][0]
                first.append(kept[0, "layer"][0, len(tree.prompt) :])
                logits.append(
                    plain(input_ids=ids, use_cache=False).logits[0, len(tree.prompt) - 1 : -1]
                )
            hidden.append(last[len(tree.prompt) - 1 : -1])
            own.append(last[len(tree.prompt) :])
    p = torch.cat(logits).double().softmax(-1)
    assert torch.allclose(found.hidden, torch.cat(hidden), atol=1e-4)
    assert torch.allclose(found.values, head(torch.cat(own)), atol=1e-4)
    assert torch.allclose(found.entropy.double(), torch.special.entr(p).sum(-1), atol=1e-4)
    assert torch.allclose(found.top_mass.double(), p.topk(3).values.sum(-1), atol=1e-4)
    assert torch.allclose(next_token_logps(model, found.hidden).double().exp(), p, atol=1e-4)
    assert torch.allclose(states, torch.cat(first), atol=1e-4)


@pytest.mark.parametrize("family", ["rope-long", "rope-dynamic"])
def test_a_rope_that_depends_on_length_shares_what_it_can(family: str) -> None:
    """A score does not follow the longest sequence of its row, or of those scored before it."""
    model = install(tiny_model(family))
    short, long = TREES[0], TREES[1]
    alone = score(model, [short]).logps
    beside = score(model, [short, long])
    assert isinstance(pack(model, [short]), PackedTensors)
    assert isinstance(pack(model, [short, long]), ApartTensors)
    assert (beside.logps[: len(alone)] - alone).abs().max() < 1e-4
    assert (score(model, [short]).logps - alone).abs().max() < 1e-4


@pytest.mark.parametrize("family", ["falcon-h1", "jamba", "lfm2-conv"])
def test_a_leak_that_bfloat16_would_hide_is_seen(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing known of the family, the trial itself sees that neighbours change a score."""
    monkeypatch.setattr(installation, "why_apart", lambda _config: "")
    model = install(tiny_model(family).bfloat16())
    assert sharing_of(model).reason


@pytest.mark.parametrize("family", ["llama", "gemma2", "qwen2-window", "mixtral", "qwen3-moe"])
def test_a_family_that_shares_does_so_in_bfloat16(family: str) -> None:
    model = install(tiny_model(family).bfloat16())
    assert not sharing_of(model).reason
