"""The bfloat16 optimiser against float32 AdamW."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.training.arguments import optimizer_choice, training_arguments
from accordant.training.optimizer import CompensatedAdamW, join_halves, split_halves
from tests.training.runs import make_config, make_model, weights
from tests.training.runs import run as run_training


def halves_of(exact: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    upper = torch.empty_like(exact, dtype=torch.bfloat16)
    low = torch.empty_like(exact, dtype=torch.int16)
    split_halves(exact, upper, low, torch.empty_like(exact, dtype=torch.int32))
    return upper, low


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=40),
)
def test_two_halves_hold_a_float32_exactly(numbers: list[float]) -> None:
    exact = torch.tensor(numbers, dtype=torch.float32)
    upper, low = halves_of(exact)
    joined = torch.empty_like(exact)
    join_halves(upper, low, joined, torch.empty_like(joined, dtype=torch.int32))
    assert torch.equal(joined.view(torch.int32), exact.view(torch.int32))


def test_the_upper_half_is_the_nearest_bfloat16() -> None:
    exact = torch.randn(10_000, generator=torch.Generator().manual_seed(1))
    upper, _ = halves_of(exact)
    nearest = exact.to(torch.bfloat16)
    # Ties are rounded away from zero where torch rounds to even; both are nearest.
    assert torch.equal((upper.float() - exact).abs(), (nearest.float() - exact).abs())


def run(optimizer: torch.optim.Optimizer, param: torch.nn.Parameter, steps: int) -> None:
    generator = torch.Generator().manual_seed(2)
    for step in range(steps):
        # Gradients shrink in the course of a run, so the second moment must be able to fall.
        scale = 1e-2 if step < steps // 3 else 1e-3
        drift = torch.linspace(-1, 1, param.numel())
        gradient = scale * (drift + torch.randn(param.numel(), generator=generator))
        param.grad = gradient.to(torch.bfloat16).to(param.dtype)
        optimizer.step()


def start_of(size: int = 400) -> torch.Tensor:
    return (0.02 * torch.randn(size, generator=torch.Generator().manual_seed(3))).bfloat16()


def exact_weights(optimizer: CompensatedAdamW, param: torch.nn.Parameter) -> torch.Tensor:
    exact = torch.empty(param.shape, dtype=torch.float32)
    join_halves(
        param.detach(),
        optimizer.state[param]["low"],
        exact,
        torch.empty_like(exact, dtype=torch.int32),
    )
    return exact


def test_with_float32_moments_it_is_float32_adamw_to_the_last_bit() -> None:
    options = {"lr": 1e-6, "weight_decay": 0.01}
    ours, theirs = torch.nn.Parameter(start_of()), torch.nn.Parameter(start_of().float())
    optimizer = CompensatedAdamW([ours], moments=torch.float32, **options)
    run(optimizer, ours, 100)
    run(torch.optim.AdamW([theirs], fused=True, **options), theirs, 100)
    assert torch.equal(exact_weights(optimizer, ours), theirs.detach())


def test_small_updates_are_not_lost_with_bfloat16_moments() -> None:
    steps, lr = 2000, 1e-6
    reference = torch.nn.Parameter(start_of().float())
    run(torch.optim.AdamW([reference], lr=lr, weight_decay=0.0), reference, steps)
    moved = reference.detach() - start_of().float()

    ours = torch.nn.Parameter(start_of())
    optimizer = CompensatedAdamW([ours], lr=lr)
    run(optimizer, ours, steps)
    error = (exact_weights(optimizer, ours) - start_of().float() - moved).norm() / moved.norm()
    assert error < 0.02

    plain = torch.nn.Parameter(start_of())
    run(torch.optim.AdamW([plain], lr=lr, weight_decay=0.0), plain, steps)
    lost = (plain.detach().float() - start_of().float() - moved).norm() / moved.norm()
    assert lost > 0.5, "plain bfloat16 AdamW is expected to lose most of the movement"


@pytest.mark.parametrize("moments", [torch.bfloat16, torch.float32])
def test_a_restored_optimizer_goes_on_bit_by_bit(moments: torch.dtype) -> None:
    whole = torch.nn.Parameter(start_of())
    optimizer = CompensatedAdamW([whole], lr=1e-5, moments=moments)
    run(optimizer, whole, 5)
    saved = copy.deepcopy(optimizer.state_dict())
    resumed = torch.nn.Parameter(whole.detach().clone())
    run(optimizer, whole, 5)

    other = CompensatedAdamW([resumed], lr=1e-5, moments=moments)
    other.load_state_dict(saved)
    run(other, resumed, 5)
    assert torch.equal(exact_weights(other, resumed), exact_weights(optimizer, whole))


def test_float32_parameters_are_updated_by_ordinary_adamw() -> None:
    ours, theirs = (torch.nn.Parameter(start_of().float()) for _ in range(2))
    run(CompensatedAdamW([ours], lr=1e-4, weight_decay=0.1), ours, 20)
    run(torch.optim.AdamW([theirs], lr=1e-4, weight_decay=0.1, fused=True), theirs, 20)
    assert torch.equal(ours, theirs)


def test_arrays_longer_than_a_chunk_are_updated_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    one, many = (torch.nn.Parameter(start_of(1000)) for _ in range(2))
    run(CompensatedAdamW([one], lr=1e-4), one, 5)
    monkeypatch.setattr("accordant.training.optimizer.CPU_CHUNK", 96)
    run(CompensatedAdamW([many], lr=1e-4), many, 5)
    assert torch.equal(one, many)


def test_a_factor_on_gradients_is_multiplied_in_float32() -> None:
    ours, theirs = torch.nn.Parameter(start_of()), torch.nn.Parameter(start_of().float())
    optimizer = CompensatedAdamW([ours], lr=1e-5, moments=torch.float32)
    optimizer.scale = torch.tensor(0.37)
    gradient = torch.randn(400, generator=torch.Generator().manual_seed(4)).bfloat16()
    ours.grad, theirs.grad = gradient, gradient.float() * 0.37
    optimizer.step()
    torch.optim.AdamW([theirs], lr=1e-5, weight_decay=0.0, fused=True).step()
    assert torch.equal(exact_weights(optimizer, ours), theirs.detach())


def test_an_optimiser_is_chosen_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(**settings: object) -> type | None:
        config = make_config(tmp_path, **settings)
        args = training_arguments(config, feedback="comparison", steps=3, held_out=0)
        choice = optimizer_choice(config, args)
        return None if choice is None else choice[0]

    assert chosen() is None
    assert chosen(precision="bf16") is CompensatedAdamW
    assert chosen(precision="bf16", lora_rank=4) is None
    assert chosen(precision="bf16", optimizer="adamw") is None
    assert chosen(optimizer="compensated") is CompensatedAdamW
    assert chosen(optimizer="torch:Adafactor") is torch.optim.Adafactor
    for name in ("torch:Adam8", "sgd"):
        with pytest.raises(UserError, match="no optimiser"):
            chosen(optimizer=name)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match="torchao"):
        chosen(optimizer="adamw-8bit")


@pytest.mark.parametrize("name", ["torch:SGD", "torch:Adafactor", "adamw"])
def test_a_run_learns_with_another_optimiser(name: str, tmp_path: Path) -> None:
    model = make_model()
    before = weights(model).clone()
    run_training(tmp_path, model=model, optimizer=name, max_grad_norm=0.1)
    assert (weights(model) - before).abs().max() > 0


KERNEL = """
import copy, sys, torch
from accordant.training import optimizer
from accordant.base.errors import UserError
from accordant.training.arguments import optimizer_choice, training_arguments
from accordant.training.optimizer import CompensatedAdamW

moments = getattr(torch, sys.argv[1])
draw = torch.Generator().manual_seed(0)
start = (0.02 * torch.randn(4096, generator=draw)).bfloat16()
both = [torch.nn.Parameter(start.clone()) for _ in range(2)]
options = {"lr": 1e-4, "weight_decay": 0.1, "moments": moments}
paths = [CompensatedAdamW([param], **options) for param in both]
for step in range(6):
    gradient = (torch.randn(4096, generator=draw) * 10.0 ** -step).bfloat16()
    for kernel, (param, path) in enumerate(zip(both, paths)):
        optimizer.has_kernel = lambda _: bool(kernel)
        param.grad, path.scale = gradient.clone(), torch.tensor(1 / (step + 1.5))
        path.step()
        if kernel:
            before = [param.clone(), *(t.clone() for t in path.state[param].values())]
            path.scale = torch.tensor(float("nan"))
            path.step()
            path.state[param]["step"] -= 1
            after = [param, *path.state[param].values()]
            assert all(torch.equal(one, two) for one, two in zip(before, after))
    assert torch.equal(*both), step
    for name, value in paths[0].state[both[0]].items():
        assert torch.equal(value, paths[1].state[both[1]][name]), (step, name)
print("equal")
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("moments", ["bfloat16", "float32"])
def test_the_kernel_gives_the_same_bits(moments: str) -> None:
    """In Triton's interpreter, which is chosen when Triton is imported; whole vectors, as torch
    rounds what is left of an array otherwise."""
    done = subprocess.run(
        [sys.executable, "-c", KERNEL, moments],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "equal\n", done.stderr[-2000:]
