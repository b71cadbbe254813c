"""The step of `CompensatedAdamW` on a GPU, as one kernel a parameter.

Knows Triton and flat arrays. The arithmetic is that of the path on a processor (torch's fused AdamW
between joining and splitting halves), operation by operation. Imported only where Triton is.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 2048


@triton.jit
def _widened(half):
    """Read bfloat16 numbers, given as int16, as float32."""
    return (half.to(tl.int32) << 16).to(tl.float32, bitcast=True)


@triton.jit
def _rounded(wide):
    """Round float32 to the nearest bfloat16, ties to even, as int16."""
    bits = wide.to(tl.int32, bitcast=True)
    return ((bits + 32767 + ((bits >> 16) & 1)) >> 16).to(tl.int16)


@triton.jit
def _step(
    upper,
    low,
    grad,
    mean,
    square,
    scale,
    count,
    decay,
    rise1,
    beta2,
    rise2,
    step_size,
    root2,
    eps,
    halved: tl.constexpr,
    size: tl.constexpr,
):
    at = tl.program_id(0).to(tl.int64) * size + tl.arange(0, size)
    factor = tl.load(scale + at * 0)
    # A factor that is no number leaves everything as it is: so the host need not look first.
    here = (at < count) & (factor == factor)
    high = tl.load(upper + at, mask=here, other=0).to(tl.int32)
    bits = (high << 16) + tl.load(low + at, mask=here, other=0).to(tl.int32)
    w = bits.to(tl.float32, bitcast=True)
    g = tl.load(grad + at, mask=here, other=0).to(tl.float32) * factor
    m = tl.load(mean + at, mask=here, other=0)
    v = tl.load(square + at, mask=here, other=0)
    if halved:
        m, v = _widened(m), _widened(v)
    # The order and the fused operations are those of torch's kernel for processors.
    m = tl.fma(tl.zeros_like(g) + rise1, g - m, m)
    v = tl.fma(g * rise2, g, v * beta2)
    bottom = tl.math.div_rn(tl.math.sqrt_rn(v), tl.zeros_like(v) + root2) + eps
    w = w * decay - tl.math.div_rn(m * step_size, bottom)
    bits = w.to(tl.int32, bitcast=True)
    left = bits.to(tl.int16)
    tl.store(low + at, left, mask=here)
    tl.store(upper + at, ((bits + 32768) >> 16).to(tl.int16), mask=here)
    if halved:
        noise = (left.to(tl.int32) * -25033).to(tl.int16).to(tl.int32)
        dithered = tl.maximum(v.to(tl.int32, bitcast=True) + noise, 0)
        m, v = _rounded(m), _rounded(dithered.to(tl.float32, bitcast=True))
    tl.store(mean + at, m, mask=here)
    tl.store(square + at, v, mask=here)


def step_halves(
    arrays: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    scale: Tensor,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    """Update weights in two halves, in place, by one launch.

    Args:
        arrays: upper halves (bfloat16), lower halves (int16), gradients, first and second moments,
            flat and on one device.
        scale: factor on the gradients, float32 scalar; where it is NaN nothing is changed.
        lr, betas, eps, weight_decay: of AdamW.
        step: number of the step, from 1.
    """
    upper, low, grad, mean, square = arrays
    count, halved = upper.numel(), mean.dtype == upper.dtype
    if halved:
        mean, square = mean.view(low.dtype), square.view(low.dtype)
    _step[(triton.cdiv(count, BLOCK),)](
        upper.view(low.dtype),
        low,
        grad,
        mean,
        square,
        scale,
        count,
        1 - lr * weight_decay,
        1 - betas[0],
        betas[1],
        1 - betas[1],
        lr / (1 - betas[0] ** step),
        (1 - betas[1] ** step) ** 0.5,
        eps,
        halved=halved,
        size=BLOCK,
        num_warps=8,
        enable_fp_fusion=False,
    )
