"""AdamW for bfloat16 weights that loses no update.

A bfloat16 weight of 0.02 moves in steps of 0.0001: an update of 1e-6, the usual size when a model
is aligned, is rounded away, and a run seems to train while almost nothing changes. Here every
weight keeps the sixteen bits that bfloat16 cuts off, so the optimiser works on exact float32
weights while the model computes with their upper halves.
Knows parameters and gradients. Knows nothing of losses, schedules or the trainer.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Elements worked on at a time: a chunk's float32 temporaries stay within the processor's cache.
CPU_CHUNK = 1 << 18
# On an accelerator a chunk only bounds the memory of the temporaries.
DEVICE_CHUNK = 1 << 24


class CompensatedAdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov and Hutter, 2019, algorithm 2) on float32 weights stored in two halves.

    A bfloat16 parameter holds the upper half of its float32 weight, rounded to nearest; the state
    `low` holds the difference as a 16-bit integer. Split storage of this kind is described by
    Kalamkar et al. (2019, "A study of bfloat16 for deep learning training", split-SGD). Parameters
    of other types are updated as usual.

    With float32 moments the weights are those of float32 AdamW to the last bit, given the same
    gradients. With bfloat16 moments (6 bytes of state a weight instead of 10) the first moment
    is rounded to nearest, which a decay of 0.9 forgets at once, and the second stochastically: with
    a decay of 0.999 rounding to nearest would freeze it.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        betas: decay rates of the two moments.
        eps: added to the root of the second moment.
        weight_decay: decoupled weight decay, times the learning rate.
        moments: type of the moments of bfloat16 parameters.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-6,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        moments: torch.dtype = torch.bfloat16,
    ) -> None:
        self.moments = moments
        # What the next step multiplies gradients by, a float32 scalar on their device; NaN leaves
        # weights and state as they are. Read where it is, so that the host need not wait for it.
        self.scale: Tensor | None = None
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._update(param, group)
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a saved state; the halves and moments keep the types they were saved with."""
        super().load_state_dict(state_dict)
        # torch casts every state to the type of its parameter, which would destroy `low` and round
        # float32 moments: put the saved tensors back as they are.
        saved = [i for group in state_dict["param_groups"] for i in group["params"]]
        ours = [p for group in self.param_groups for p in group["params"]]
        for index, param in zip(saved, ours, strict=True):
            for name, value in state_dict["state"].get(index, {}).items():
                if isinstance(value, Tensor):
                    device = value.device if name == "step" else param.device
                    self.state[param][name] = value.detach().to(device, copy=True)

    def _update(self, param: Tensor, group: dict[str, Any]) -> None:
        state = self.state[param]
        halved = param.dtype == torch.bfloat16
        if not state:
            moments = self.moments if halved else param.dtype
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(param, dtype=moments)
            state["exp_avg_sq"] = torch.zeros_like(param, dtype=moments)
            if halved:
                state["low"] = torch.zeros_like(param, dtype=torch.int16)
        state["step"] += 1
        names = ("low",) if halved else ()
        kept = [state[name] for name in (*names, "exp_avg", "exp_avg_sq")]
        *low, mean, square = (_flat(array) for array in kept)
        weight, grad = _flat(param), _flat(param.grad)  # type: ignore[arg-type]
        scale = self.scale
        if scale is not None and scale.device.type == "cpu" and scale.item() == 1:
            scale = None  # mostly so, and a pass less
        if halved and has_kernel(weight.device):
            from accordant.training.optimizer_kernel import step_halves

            scale = torch.ones((), device=weight.device) if scale is None else scale
            choices = {name: group[name] for name in ("betas", "eps", "weight_decay")}
            step_halves(
                (weight, low[0], grad, mean, square),
                scale,
                lr=float(group["lr"]),
                step=int(state["step"]),
                **choices,
            )
            return
        size = CPU_CHUNK if weight.device.type == "cpu" else DEVICE_CHUNK
        size = max(1, min(size, weight.numel())) if halved else max(1, weight.numel())
        scratch = _Scratch.make(size, weight.device) if halved else None
        for start in range(0, weight.numel(), size):
            part = [array[start : start + size] for array in (weight, grad, mean, square, *low)]
            if scratch is not None:
                _update_halves(part, scale, group, int(state["step"]), scratch)
                continue
            if scale is not None:
                part[1].mul_(scale)
            _adamw(part[0], part[1], part[2], part[3], group, int(state["step"]))


def scale_next_step(optimizer: torch.optim.Optimizer, factor: Tensor) -> bool:
    """Let the next step take gradients times `factor`, without waiting for it where that works.

    Args:
        optimizer: of any class.
        factor: float32 scalar on the gradients' device; NaN where nothing may change.

    Returns:
        whether a factor of NaN leaves weights and state as they are.
    """
    if isinstance(optimizer, CompensatedAdamW):
        optimizer.scale = factor
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        return all(p.dtype == torch.bfloat16 and has_kernel(p.device) for p in weights)
    if optimizer.defaults.get("fused") and factor.device.type == "cuda":
        # Attributes of torch's own optimisers, which their fused kernels read on the device.
        fused: Any = optimizer
        fused.grad_scale, fused.found_inf = 1 / factor, factor.isnan().float()
        return True
    params = (p for group in optimizer.param_groups for p in group["params"])
    gradients = [p.grad for p in params if p.grad is not None]
    # On a processor a look at the factor costs nothing, and mostly spares a pass.
    if gradients and (factor.device.type != "cpu" or factor.item() != 1):
        torch._foreach_mul_(gradients, factor.to(gradients[0].dtype))
    return False


def has_kernel(device: torch.device) -> bool:
    """Tell whether weights on `device` are updated by one kernel a parameter."""
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Room for one chunk, allocated once a parameter: `[size]` each."""

    exact: Tensor  # float32
    grad: Tensor  # float32
    mean: Tensor  # float32
    square: Tensor  # float32
    bits: Tensor  # int32
    noise: Tensor  # int16

    @classmethod
    def make(cls, size: int, device: torch.device) -> _Scratch:
        exact, grad, mean, square = (torch.empty(size, device=device) for _ in range(4))
        bits = torch.empty(size, dtype=torch.int32, device=device)
        noise = torch.empty(size, dtype=torch.int16, device=device)
        return cls(exact, grad, mean, square, bits, noise)


def _flat(array: Tensor) -> Tensor:
    """Return a flat view of the part of `array` this process holds."""
    from torch.distributed.tensor import DTensor

    local = array.to_local() if isinstance(array, DTensor) else array
    return local.detach().view(-1) if local.is_contiguous() else local.detach().reshape(-1)


def _adamw(
    weight: Tensor, grad: Tensor, mean: Tensor, square: Tensor, group: dict[str, Any], step: int
) -> None:
    """Step number `step` (from 1) of AdamW on flat arrays of one type, in place."""
    # The kernel behind `torch.optim.AdamW(fused=True)`.
    torch._fused_adamw_(
        [weight],
        [grad],
        [mean],
        [square],
        [],
        [torch.tensor(float(step), device=weight.device)],
        lr=float(group["lr"]),
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        amsgrad=False,
        maximize=False,
    )


def _update_halves(
    arrays: list[Tensor], scale: Tensor | None, group: dict[str, Any], step: int, scratch: _Scratch
) -> None:
    """Update a chunk: upper halves (bfloat16), gradients, moments, lower halves (int16)."""
    upper, grad, mean, square, low = arrays
    count = upper.shape[0]
    exact, g, m, v = (
        buffer[:count] for buffer in (scratch.exact, scratch.grad, scratch.mean, scratch.square)
    )
    bits = scratch.bits[:count]
    join_halves(upper, low, exact, bits)
    for buffer, values in ((g, grad), (m, mean), (v, square)):
        buffer.copy_(values)
    if scale is not None:
        g.mul_(scale)
    _adamw(exact, g, m, v, group, step)
    split_halves(exact, upper, low, bits)
    mean.copy_(m)
    if square.dtype == torch.bfloat16:
        _round_by_dither(v, low, square, bits, scratch.noise[:count])
    else:
        square.copy_(v)


def join_halves(upper: Tensor, low: Tensor, exact: Tensor, bits: Tensor) -> None:
    """Write into `exact` the float32 numbers whose halves are `upper` and `low`.

    Args:
        upper: bfloat16 `[n]`.
        low: int16 `[n]`.
        exact: float32 `[n]`, written.
        bits: int32 `[n]`, scratch.
    """
    whole = exact.view(torch.int32)
    # Arithmetic on two integer types at once is slow; copies that convert are not.
    whole.copy_(upper.view(torch.int16))
    bits.copy_(low)
    torch.add(bits, whole, alpha=1 << 16, out=whole)


def split_halves(exact: Tensor, upper: Tensor, low: Tensor, bits: Tensor) -> None:
    """Write float32 `exact` into its halves: `upper` rounded to nearest, `low` the difference.

    Args:
        exact: float32 `[n]`, finite.
        upper: bfloat16 `[n]`, written.
        low: int16 `[n]`, written.
        bits: int32 `[n]`, scratch.
    """
    low.copy_(exact.view(torch.int32))  # keeps the lower sixteen bits, read as a signed number
    # Adding half of what is cut off carries over exactly where `low` is negative.
    torch.add(exact.view(torch.int32), 1 << 15, out=bits)
    upper.view(torch.int16).copy_(bits.bitwise_right_shift_(16))


def _round_by_dither(
    values: Tensor, low: Tensor, rounded: Tensor, bits: Tensor, noise: Tensor
) -> None:
    """Round float32 `values` >= 0 to bfloat16, up or down with the odds of their distance.

    The lower halves of the weights serve as noise, so that a step draws no random numbers. They
    drift slowly, so they are mixed by an odd multiplier (2**16 over the golden ratio).
    """
    torch.mul(low, -25033, out=noise)
    # Up to half a unit either way, then to nearest; below 0 the bits would mean other numbers.
    bits.copy_(noise).add_(values.view(torch.int32)).clamp_(min=0)
    rounded.copy_(bits.view(torch.float32))
