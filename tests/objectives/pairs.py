"""Comparisons written down by hand: answers by their tokens, or by their log-ratios alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from accordant.objectives.inputs import Attached, LossOutput, Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.scoring.scores import from_lists

Rows = Sequence[Sequence[float]]


def answers(policy: Rows, reference: Rows | None = None) -> Sequences:
    """Answers with the log-probability of every token, in float64."""
    return Sequences(
        from_lists(policy, dtype=torch.float64),
        None if reference is None else from_lists(reference, dtype=torch.float64),
    )


def of_log_ratios(
    chosen: Sequence[float], rejected: Sequence[float], **numbers: Tensor
) -> PairwiseScores:
    """Pairs of one-token answers with these log-ratios; the reference gives each of them -1.

    Rows of numbers, `[n, k]`, are attached by name.
    """

    def one(values: Sequence[float]) -> Sequences:
        return answers([[value - 1] for value in values], [[-1.0] for _ in values])

    return PairwiseScores(one(chosen), one(rejected), attached=Attached(numbers))


def without_reference(chosen: Rows, rejected: Rows) -> PairwiseScores:
    """Pairs for losses that read no reference."""
    return PairwiseScores(answers(chosen), answers(rejected))


def random_pairs(seed: int, count: int = 6, longest: int = 5) -> PairwiseScores:
    """Pairs with answers of 1 to `longest` tokens and random log-probabilities."""
    generator = torch.Generator().manual_seed(seed)

    def one() -> Sequences:
        lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
        rows = [(-3 * torch.rand(n, generator=generator).double() - 0.01).tolist() for n in lengths]
        other = [
            (-3 * torch.rand(n, generator=generator).double() - 0.01).tolist() for n in lengths
        ]
        return answers(rows, other)

    return PairwiseScores(one(), one())


def gradients(loss: Any, pairs: PairwiseScores, **options: Any) -> tuple[Tensor, Tensor]:
    """Gradient of the summed loss with respect to every token of chosen and rejected answers."""
    leaves = [
        pairs.chosen.policy.logps.requires_grad_(),
        pairs.rejected.policy.logps.requires_grad_(),
    ]
    output: LossOutput = loss(pairs, **options)
    chosen, rejected = torch.autograd.grad(output.losses.sum(), leaves, allow_unused=True)
    zeros = [torch.zeros_like(leaf) for leaf in leaves]
    return (
        zeros[0] if chosen is None else chosen,
        zeros[1] if rejected is None else rejected,
    )
