"""RMS norms of packed rows: the exact function, its gradient, and who gets it."""

from __future__ import annotations

import copy
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.scoring import norms
from accordant.scoring.apart import plain_logps
from accordant.scoring.engine import score
from accordant.scoring.installation import install
from accordant.scoring.norms import rms_norm
from tests.families import tiny_model
from tests.scoring.test_engine import TREES, gradients, weighted


def plain(states: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return weight * states / (states.square().mean(-1, keepdim=True) + eps).sqrt()


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def assert_close(
    found: torch.Tensor | None, expected: torch.Tensor | None, sizes: torch.Tensor | None
) -> None:
    assert found is not None
    assert expected is not None
    assert sizes is not None
    tolerance = 2e-5 * float(sizes.detach().abs().max())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=tolerance)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 5),
    width=st.integers(1, 40),
    size=st.floats(1e-3, 1e3),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_are_those_of_the_formula(
    rows: int, width: int, size: float, seed: int
) -> None:
    states = draw(2, rows, width, seed=seed) * size
    weight, upstream = draw(width, seed=seed + 1), draw(2, rows, width, seed=seed + 2)
    exact = [states.clone().requires_grad_(), weight.clone().requires_grad_()]
    expected = plain(*exact, 1e-6)
    expected.backward(upstream)
    ours = [part.detach().float().requires_grad_() for part in (states, weight)]
    found = rms_norm(*ours, 1e-6)
    found.backward(upstream.float())
    assert_close(found, expected, expected)
    assert_close(ours[1].grad, exact[1].grad, exact[1].grad)
    # Terms of the size of upstream / size cancel in the gradient of the states.
    assert_close(ours[0].grad, exact[0].grad, upstream / size)


def test_bfloat16_loses_no_more_than_the_written_out_norm() -> None:
    states, weight, upstream = draw(64, 576), draw(576, seed=1), draw(64, 576, seed=2)

    def error(norm: object, kind: torch.dtype) -> list[torch.Tensor]:
        parts = [part.to(kind).requires_grad_() for part in (states.clone(), weight.clone())]
        result = norm(*parts, 1e-5)  # type: ignore[operator]
        result.backward(upstream.to(kind))
        return [result.detach().double(), *(part.grad.double() for part in parts)]

    def written_out(x: torch.Tensor, w: torch.Tensor, eps: float) -> torch.Tensor:
        wide = x.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
        return w * scaled.to(x.dtype)

    exact = error(plain, torch.float64)
    ours, theirs = error(rms_norm, torch.bfloat16), error(written_out, torch.bfloat16)
    for mine, other, truth in zip(ours, theirs, exact, strict=True):
        assert (mine - truth).norm() <= 1.05 * (other - truth).norm()


def calls(model: torch.nn.Module, run: object) -> int:
    with mock.patch.object(norms, "rms_norm", wraps=rms_norm) as counted:
        run(model)  # type: ignore[operator]
    return counted.call_count


@pytest.mark.parametrize(
    ("family", "expected"),
    [("llama", True), ("qwen3", True), ("mistral", True), ("gemma2", False), ("gpt2", False)],
)
def test_norms_that_compute_something_else_are_left_alone(family: str, expected: bool) -> None:
    model = install(tiny_model(family))
    assert bool(calls(model, lambda m: score(m, TREES))) is expected
    assert calls(model, lambda m: plain_logps(m, TREES[0])) == 0


def test_calls_without_trees_give_the_same_bits_after_a_row_too() -> None:
    model = tiny_model("llama")
    before = plain_logps(model, TREES[0])
    prepared = install(copy.deepcopy(model))
    score(prepared, TREES)
    after = plain_logps(prepared, TREES[0])
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_recomputed_layer_uses_the_same_norms() -> None:
    model = install(tiny_model("llama"))
    expected = gradients(model, weighted(score(model, TREES).logps))
    once = calls(model, lambda m: score(m, TREES).logps.sum().backward())
    model.train()
    model.gradient_checkpointing_enable()
    twice = calls(model, lambda m: score(m, TREES).logps.sum().backward())
    # Every layer's two norms run again; the last norm is not part of a layer.
    assert twice == 2 * once - 1
    torch.testing.assert_close(gradients(model, weighted(score(model, TREES).logps)), expected)


def test_a_copy_has_norms_of_its_own() -> None:
    model = install(tiny_model("llama"))
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for module in twin.modules():
            if hasattr(module, "_packed"):
                module.weight.mul_(2.0)
    expected = torch.cat(plain_logps(twin, TREES[0]))
    torch.testing.assert_close(score(twin, TREES[:1]).logps, expected, rtol=0, atol=1e-4)
    assert not torch.allclose(score(model, TREES[:1]).logps, expected, atol=1e-2)
