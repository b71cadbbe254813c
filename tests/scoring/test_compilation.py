"""Compiled layers: one compilation for rows of any content, and the same scores and gradients.

The compiler's front end is tried with torch's own operators behind it, which needs no C++ compiler.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from accordant.models.adapters import LoraOptions, attach_lora
from accordant.models.hooks import captured
from accordant.scoring import attention
from accordant.scoring.compilation import compiled_layers
from accordant.scoring.engine import pack, score
from accordant.scoring.installation import install
from tests.families import tiny_model
from tests.scoring.test_engine import TREES, gradients, random_trees, weighted

ROWS = [
    random_trees(seed, [(20 + 7 * seed, (5, 9 + seed)), (40 + seed, (3, 30 - seed, 1))])
    for seed in range(10)
]


class Counter:
    """A backend of the compiler that runs torch's operators, and counts what it is given."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, graph: torch.fx.GraphModule, _inputs: Any) -> Callable[..., Any]:
        self.count += 1
        return graph.forward


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    # pytest would keep every line that the compiler logs of itself, which takes most of the time.
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "disabled", True)
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    return Counter()


def breaks() -> dict[str, int]:
    return dict(torch._dynamo.utils.counters["graph_break"])


CASES = [(family, (), 2) for family in ("gemma3", "gpt2", "qwen2-window", "qwen3")]
CASES += [(family, lengths, 10) for family in ("llama", "gemma2") for lengths in ((), (128, 256))]


@pytest.mark.parametrize(("family", "lengths", "rows"), CASES)
def test_rows_compile_once_and_give_the_same(
    family: str, lengths: tuple[int, ...], rows: int, counter: Counter
) -> None:
    model = install(tiny_model(family), verify=False)
    plain = copy.deepcopy(model)
    counts, used = [], set()
    with compiled_layers([model], lengths, counter):
        for trees in ROWS[:rows]:
            used.add(pack(model, trees).input_ids.shape[1])
            logps, expected = score(model, trees).logps, score(plain, trees).logps
            assert (logps - expected).abs().max() < 1e-4
            ours, theirs = gradients(model, weighted(logps)), gradients(plain, weighted(expected))
            assert (ours - theirs).norm() < 1e-4 * theirs.norm()
            counts.append(counter.count)
    # The last layer has hooks of its own; some families have layers with a window and without.
    assert counts[0] <= 4
    assert counts[-1] == counts[0] * len(used) if lengths else counts[0]
    assert not lengths or used == set(lengths)
    assert not breaks()


def test_layers_without_gradients_are_compiled_once_too(counter: Counter) -> None:
    model = install(tiny_model("llama"))
    with compiled_layers([model], (), counter), torch.no_grad():
        first = score(model, ROWS[0]).logps
        count = counter.count
        for trees in ROWS[1:]:
            score(model, trees)
        assert counter.count == count
    assert torch.allclose(first, score(model, ROWS[0]).logps, atol=1e-5)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_and_checkpointing_go_with_it(checkpointing: bool, counter: Counter) -> None:
    model = install(attach_lora(tiny_model("llama"), LoraOptions(rank=4, alpha=16.0, dropout=0.0)))
    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    expected = [gradients(model, weighted(score(model, trees).logps)) for trees in ROWS]
    with compiled_layers([model], (), counter):
        for trees, theirs in zip(ROWS, expected, strict=True):
            ours = gradients(model, weighted(score(model, trees).logps))
            assert (ours - theirs).norm() <= 1e-5 * theirs.norm()
            if trees is ROWS[0]:
                count = counter.count
        assert counter.count == count
        with torch.no_grad(), model.disable_adapter():
            reference = score(model, ROWS[0]).logps
    with torch.no_grad(), model.disable_adapter():
        assert torch.allclose(score(model, ROWS[0]).logps, reference, atol=1e-5)
    assert not breaks()


def test_hooks_that_come_later_are_heeded(counter: Counter) -> None:
    model = install(tiny_model("llama"))
    sites = [(0, "layer"), (1, "mlp")]
    with torch.no_grad(), captured(model, sites) as expected:
        score(model, TREES)
    with torch.no_grad(), compiled_layers([model], (), counter):
        score(model, TREES)
        with captured(model, sites) as states:
            score(model, TREES)
    for site in sites:
        assert torch.allclose(states[site], expected[site], atol=1e-4)


def test_other_calls_and_what_comes_after_are_left_alone(counter: Counter) -> None:
    model = install(tiny_model("llama"))
    ids = torch.tensor([[5, 6, 7, 8]])
    with compiled_layers([model], (512,), counter):
        model(input_ids=ids)
        copy.deepcopy(model)(input_ids=ids)
    score(model, TREES)
    assert counter.count == 0
    assert pack(model, TREES[:1]).input_ids.shape[1] < 512


def test_flex_attention_compiles_once_inside_the_layers(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = install(tiny_model("gemma2"))
    monkeypatch.setitem(attention.KERNELS, "cpu", attention.flex_attention)
    with torch.no_grad():
        expected = [score(model, trees).logps for trees in ROWS]
        counts = []
        with compiled_layers([model], (256,), counter):
            for trees, theirs in zip(ROWS, expected, strict=True):
                packed = pack(model, trees)
                for window in (None, 5):
                    packed.layout.block_mask(window)
                output = model(packed=packed)
                assert (output.logps - theirs).abs().max() < 1e-4
                counts.append(counter.count)
    assert counts[-1] == counts[0]
    assert not breaks()


@pytest.mark.slow
def test_compiled_kernels_give_the_same_scores_and_gradients() -> None:
    model = install(tiny_model("llama"))
    plain = copy.deepcopy(model)
    torch.compiler.reset()
    with compiled_layers([model]):
        logps, expected = score(model, TREES).logps, score(plain, TREES).logps
        assert (logps - expected).abs().max() < 1e-4
        ours, theirs = gradients(model, weighted(logps)), gradients(plain, weighted(expected))
        assert (ours - theirs).norm() < 1e-4 * theirs.norm()
