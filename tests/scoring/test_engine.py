"""The engine's scores and gradients equal those of one sequence at a time."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.models.adapters import base_model_of
from accordant.scoring import attention
from accordant.scoring.apart import plain_logps, sharing_of
from accordant.scoring.engine import ScoreOptions, pack, score, score_all
from accordant.scoring.installation import install
from accordant.tokens.trees import TokenTree
from tests.families import CONFIGS, VOCABULARY, tiny_model

FAMILIES = sorted(CONFIGS)


def random_trees(seed: int, shapes: list[tuple[int, tuple[int, ...]]]) -> list[TokenTree]:
    generator = torch.Generator().manual_seed(seed)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(0, VOCABULARY, (count,), generator=generator).tolist())

    return [TokenTree(draw(p), tuple(draw(c) for c in cs)) for p, cs in shapes]


# The second tree is longer than an attention block (128), so that several blocks meet.
TREES = random_trees(1, [(7, (5, 9)), (140, (3, 30, 1)), (1, (4,)), (12, (8, 8, 8, 8))])


def gradients(model: torch.nn.Module, loss: torch.Tensor) -> torch.Tensor:
    parameters = [p for p in model.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_mlp_sees_predicting_tokens_only(family: str) -> None:
    model = install(tiny_model(family))
    backbone = getattr(base_model_of(model), base_model_of(model).base_model_prefix)
    mlp = getattr(backbone, "layers", getattr(backbone, "h", None))[-1].mlp
    seen = []
    inner = next(module for module in mlp.modules() if module is not mlp)
    handle = inner.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[-2]))
    score(model, TREES)
    plain_logps(model, TREES[1])
    handle.remove()
    predicting = sum(1 + sum(len(c) - 1 for c in tree.continuations) for tree in TREES)
    assert predicting < 0.9 * sum(tree.num_tokens for tree in TREES)
    assert seen == [predicting, *(140 + length for length in (3, 30, 1))]


def weighted(parts: torch.Tensor) -> torch.Tensor:
    """A loss that gives every token its own weight, so that no gradient can hide in a sum."""
    weights = torch.linspace(-1.0, 2.0, parts.shape[0], dtype=parts.dtype)
    return (weights * parts).sum() / parts.shape[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_and_gradients_equal_one_sequence_at_a_time(family: str) -> None:
    plain = tiny_model(family)
    model = install(copy.deepcopy(plain))
    expected = torch.cat([part for tree in TREES for part in plain_logps(plain, tree)])
    found = score(model, TREES).logps
    assert (found - expected).abs().max() < 1e-4
    expected_gradient = gradients(plain, weighted(expected))
    found_gradient = gradients(model, weighted(found))
    error = (found_gradient - expected_gradient).norm() / expected_gradient.norm()
    assert error < 1e-3


@pytest.mark.parametrize("family", ["llama", "gemma2", "mistral-window"])
@pytest.mark.parametrize("kernel", ["dense_attention", "flex_attention"])
def test_every_kernel_gives_the_same_scores(
    family: str, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = install(tiny_model(family))
    trees = random_trees(2, [(9, (5, 9)), (20, (3, 7, 1))])
    with torch.no_grad():
        expected = score(model, trees).logps
        monkeypatch.setitem(attention.KERNELS, "cpu", getattr(attention, kernel))
        found = score(model, trees).logps
    assert (found - expected).abs().max() < 1e-4


@pytest.mark.parametrize("family", ["gemma2", "mistral-window"])
def test_caps_and_windows_are_constants_of_compiled_flex_attention(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On CUDA a cap that is read from a tensor inside the score function does not compile."""
    model = install(tiny_model(family))
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _inputs: object) -> object:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    run = torch.compile(attention.flex_attention, dynamic=True, backend=keep)
    monkeypatch.setitem(attention.KERNELS, "cpu", run)
    with torch.no_grad():
        score(model, TREES[:2])
    functions = [
        m for graph in graphs for m in graph.modules() if isinstance(m, torch.fx.GraphModule)
    ]
    inner = [f for f in functions if f not in graphs]
    assert inner
    assert not [n for f in inner for n in f.graph.nodes if "item" in (n.target, n.name)]


@settings(max_examples=25, deadline=None)
@given(
    shapes=st.lists(
        st.tuples(st.integers(1, 20), st.lists(st.integers(1, 9), min_size=1, max_size=4)),
        min_size=1,
        max_size=4,
    ),
    seed=st.integers(0, 1000),
)
def test_packing_changes_no_score(shapes: list[tuple[int, list[int]]], seed: int) -> None:
    model = _packing_model()
    trees = random_trees(seed, [(p, tuple(cs)) for p, cs in shapes])
    with torch.no_grad():
        together = score(model, trees)
        alone = torch.cat([score(model, [tree]).logps for tree in trees])
    assert (together.logps - alone).abs().max() < 1e-4
    assert together.lengths.tolist() == [c for _, cs in shapes for c in cs]
    assert (together.logps <= 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_shared_beginnings_change_neither_scores_nor_gradients(family: str) -> None:
    model = install(tiny_model(family))
    system, asked, *rests = (tree.prompt for tree in random_trees(3, [(n, (1,)) for n in SHARING]))
    answers = [tree.continuations for tree in random_trees(4, [(1, (3, 6))] * 5)]
    prompts = [system + rests[0], system + asked, system + asked, system + asked + rests[1], system]
    trees = [TokenTree(*both) for both in zip(prompts, answers, strict=True)]
    assert pack(model, trees).input_ids.shape[1] < sum(tree.num_tokens for tree in trees) - 100
    found = score(model, trees).logps
    expected = torch.cat([score(model, [tree]).logps for tree in trees])
    assert (found - expected).abs().max() < 1e-4
    ours, alone = gradients(model, weighted(found)), gradients(model, weighted(expected))
    assert (ours - alone).norm() / alone.norm() < 1e-3


# A beginning of everything, one of some, and two rests.
SHARING = (30, 25, 4, 9)

_PACKING: list[torch.nn.Module] = []


def _packing_model() -> torch.nn.Module:
    if not _PACKING:
        _PACKING.append(install(tiny_model("qwen2-window")))
    return _PACKING[0]


def test_a_sibling_cannot_be_seen() -> None:
    model = install(tiny_model("llama"))
    first, second = random_trees(3, [(6, (5, 4)), (6, (5, 4))])
    changed = TokenTree(first.prompt, (second.continuations[0], first.continuations[1]))
    with torch.no_grad():
        before = score(model, [first]).select(torch.tensor([1])).logps
        after = score(model, [changed]).select(torch.tensor([1])).logps
    assert torch.equal(before, after)


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_entropy_and_top_mass_are_those_of_the_next_token_distribution(family: str) -> None:
    plain = tiny_model(family)
    model = install(copy.deepcopy(plain))
    tree = TREES[0]
    found = score(model, [tree], ScoreOptions(entropy=True, top_k=5, hidden=True, chunk=3))
    rows = []
    for continuation in tree.continuations:
        ids = torch.tensor([tree.prompt + continuation])
        rows.append(plain(input_ids=ids).logits[0, len(tree.prompt) - 1 : -1].double())
    p = torch.cat(rows).softmax(-1)
    assert torch.allclose(found.entropy.double(), -(p * p.log()).sum(-1), atol=1e-4)
    assert torch.allclose(found.top_mass.double(), p.topk(5).values.sum(-1), atol=1e-5)
    assert found.hidden.shape == (14, 32)
    assert not found.entropy.requires_grad
    assert found.hidden.requires_grad


def test_chunks_change_neither_scores_nor_gradients() -> None:
    model = install(tiny_model("gemma2"))
    results = []
    for chunk in (1, 5, 1000):
        logps = score(model, TREES[:1], ScoreOptions(chunk=chunk)).logps
        results.append((logps.detach(), gradients(model, weighted(logps))))
    for logps, gradient in results[1:]:
        assert torch.allclose(logps, results[0][0], atol=1e-5)
        assert torch.allclose(gradient, results[0][1], rtol=1e-3, atol=1e-5)


def test_a_prepared_model_still_works_without_trees() -> None:
    plain = tiny_model("gemma2")
    model = install(copy.deepcopy(plain))
    ids = torch.randint(0, VOCABULARY, (2, 11), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(model(input_ids=ids).logits, plain(input_ids=ids).logits, atol=1e-5)


def test_a_copy_of_a_prepared_model_scores_with_its_own_weights() -> None:
    model = install(tiny_model("llama"))
    other = copy.deepcopy(model)
    with torch.no_grad():
        next(other.parameters()).zero_()
        assert not torch.equal(score(model, TREES[:1]).logps, score(other, TREES[:1]).logps)


@pytest.mark.parametrize("on_head", [False, True])
def test_adapters_are_scored_and_trained(on_head: bool) -> None:
    from peft import LoraConfig, get_peft_model

    plain = tiny_model("llama")
    modules = ["q_proj", "down_proj"] + (["lm_head"] if on_head else [])
    adapted = get_peft_model(plain, LoraConfig(target_modules=modules, init_lora_weights=False))
    adapted.eval()
    expected = torch.cat([part for tree in TREES for part in plain_logps(adapted, tree)])
    expected_gradient = gradients(adapted, weighted(expected))
    model = install(adapted)
    found = score(model, TREES).logps
    assert (found - expected).abs().max() < 1e-4
    gradient = gradients(model, weighted(found))
    assert (gradient - expected_gradient).norm() / expected_gradient.norm() < 1e-3
    with torch.no_grad(), model.disable_adapter():
        assert (score(model, TREES).logps - found).abs().max() > 1e-3


def test_gradient_checkpointing_changes_no_gradient() -> None:
    model = install(tiny_model("llama")).train()
    expected = gradients(model, weighted(score(model, TREES).logps))
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    found = gradients(model, weighted(score(model, TREES).logps))
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_all_rows_come_back_in_order() -> None:
    model = install(tiny_model("llama")).train()
    seen: list[int] = []
    found = score_all(model, TREES, budget=40, progress=seen.append)
    with torch.no_grad():
        expected = score(model, TREES)
    assert torch.allclose(found.logps, expected.logps, atol=1e-4)
    assert torch.equal(found.owner, expected.owner)
    assert torch.equal(found.tree, expected.tree)
    assert sum(seen) == sum(tree.num_tokens for tree in TREES)
    assert len(seen) > 1
    assert model.training


def test_a_model_that_was_not_prepared_is_refused() -> None:
    with pytest.raises(UserError, match="not prepared"):
        score(tiny_model("llama"), TREES)


def test_a_family_that_ignores_the_tree_is_scored_apart() -> None:
    """A model whose attention is not told of the tree must not be scored silently wrong."""
    model = tiny_model("llama")
    expected = torch.cat([part for tree in TREES for part in plain_logps(model, tree)])
    layer = base_model_of(model).model.layers[1]
    original = layer.forward

    def forgetful(*args: object, tree_layout: object = None, **kwargs: object) -> object:
        return original(*args, **{**kwargs, "attention_mask": None})

    layer.forward = forgetful
    install(model)
    assert "scored as a tree" in sharing_of(model).reason
    assert (score(model, TREES).logps - expected).abs().max() < 1e-4


def test_a_model_that_reads_what_comes_after_is_refused() -> None:
    config = tiny_model("bert-decoder").config
    config.is_decoder = False
    model = type(tiny_model("bert-decoder"))(config)
    with pytest.raises(UserError, match="what comes after"):
        install(model)


def test_dropout_is_switched_off() -> None:
    model = install(tiny_model("gpt2")).train()
    with torch.no_grad():
        assert torch.equal(score(model, TREES).logps, score(model, TREES).logps)


@pytest.mark.parametrize("chunk", [0, 7])
def test_a_kept_graph_can_be_walked_twice(chunk: int) -> None:
    model = install(tiny_model("gemma2"))
    loss = weighted(score(model, TREES, ScoreOptions(chunk=chunk, entropy=True)).logps)
    parameters = list(model.parameters())
    first = torch.autograd.grad(loss, parameters, retain_graph=True)
    second = torch.autograd.grad(loss, parameters)
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one, two)


def test_a_forward_that_another_library_put_on_the_model_still_runs() -> None:
    model = tiny_model("llama")
    seen = []
    plain = model.forward

    def theirs(*args, **kwargs):
        seen.append(sorted(kwargs))
        return plain(*args, **kwargs)

    model.forward = theirs
    install(install(model), verify=False)
    seen.clear()
    tree = TokenTree((5, 6), ((7, 8),))
    score(model, [tree])
    assert seen == []
    model(input_ids=torch.tensor([[5, 6, 7]]), use_cache=False)
    assert seen == [["input_ids", "use_cache"]]
