"""What the engine returns: per-token log-probabilities of continuations, with their reductions.

Knows which token belongs to which continuation and which continuation to which tree, so that no
objective masks, shifts or indexes padding by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

# Per-token fields that are there only where they were asked for.
EXTRAS = ("entropy", "top_mass", "top_entropy", "hidden", "values")


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of `n` continuations, stored flat over their `tokens`.

    Args:
        logps: log-probability of every continuation token, float32 `[tokens]`, in nats, <= 0.
        owner: continuation every token belongs to, int64 `[tokens]`, not decreasing.
        lengths: tokens of every continuation, int64 `[n]`, >= 1.
        tree: tree every continuation belongs to, int64 `[n]`, not decreasing.
        entropy: entropy of the next-token distribution at every token, float32 `[tokens]`, nats.
        top_mass: probability mass of its k most likely tokens, float32 `[tokens]`, in [0, 1].
        top_entropy: their share of the entropy, -sum p log p over those k tokens (not made to sum
            to one), float32 `[tokens]`, nats.
        hidden: last hidden state (after the final norm) that predicts every token,
            `[tokens, width]`.
        values: what a head reads off every token's own last hidden state, so behind that token and
            all before it, float32 `[tokens, attributes]`.
        sizes: `lengths` where the host can read them; None where nobody has told.
    """

    logps: Tensor
    owner: Tensor
    lengths: Tensor
    tree: Tensor
    entropy: Tensor | None = None
    top_mass: Tensor | None = None
    top_entropy: Tensor | None = None
    hidden: Tensor | None = None
    values: Tensor | None = None
    sizes: tuple[int, ...] | None = None

    @property
    def host_lengths(self) -> tuple[int, ...]:
        """The lengths as numbers; without `sizes` the device is waited for."""
        return tuple(self.lengths.tolist()) if self.sizes is None else self.sizes

    @property
    def count(self) -> int:
        """Number of continuations."""
        return self.lengths.shape[0]

    def sum(self) -> Tensor:
        """Return the log-probability of every continuation given its prompt, float32 `[n]`."""
        return self.sum_tokens(self.logps)

    def mean(self) -> Tensor:
        """Return the mean token log-probability of every continuation, float32 `[n]`."""
        return self.sum() / self.lengths

    def sum_tokens(self, values: Tensor) -> Tensor:
        """Sum per-token `values` `[tokens, ...]` within every continuation, `[n, ...]`."""
        total = values.new_zeros((self.count, *values.shape[1:]))
        return total.index_add(0, self.owner, values)

    def mean_tokens(self, values: Tensor) -> Tensor:
        """Average per-token `values` `[tokens]` within every continuation, `[n]`."""
        return self.sum_tokens(values) / self.lengths

    def last_tokens(self, values: Tensor) -> Tensor:
        """Pick per-token `values` `[tokens, ...]` at the last token of every continuation."""
        return values[self.lengths.cumsum(0) - 1]

    def step_tokens(self, values: Tensor, ends: Sequence[Sequence[int]]) -> Tensor:
        """Pick per-token `values` `[tokens, ...]` at the last token of every step.

        Args:
            values: numbers of every token.
            ends: where each continuation's steps end, in tokens from its start, 1 to its length.

        Returns:
            `[steps, ...]`, all steps of the first continuation first.

        Raises:
            ValueError: there are steps of more or fewer continuations, or one ends outside.
        """
        lengths = self.host_lengths
        for length, steps in zip(lengths, ends, strict=True):
            if not all(1 <= end <= length for end in steps):
                raise ValueError(f"steps of an answer of {length} tokens end at {list(steps)}")
        starts = accumulate(lengths[:-1], initial=0)
        runs = zip(starts, ends, strict=True)
        return values[[start + end - 1 for start, steps in runs for end in steps]]

    def select(self, continuations: Sequence[int] | Tensor) -> Scores:
        """Select the scores of some continuations, in the order given."""
        if isinstance(continuations, Tensor):
            continuations = continuations.tolist()
        lengths = self.host_lengths
        starts = [0, *accumulate(lengths)]
        sizes = tuple(lengths[index] for index in continuations)
        # Worked out here, as the device would be waited for to say how many tokens there are.
        sent = send_numbers(
            self.lengths.device,
            places=continuations,
            owner=[index for index, size in enumerate(sizes) for _ in range(size)],
            lengths=sizes,
            tokens=[at for i in continuations for at in range(starts[i], starts[i + 1])],
        )
        taken: dict[str, Any] = {
            name: None if (value := getattr(self, name)) is None else value[sent["tokens"]]
            for name in ("logps", *EXTRAS)
        }
        tree = self.tree[sent["places"]]
        return Scores(owner=sent["owner"], lengths=sent["lengths"], tree=tree, sizes=sizes, **taken)

    def detach(self) -> Scores:
        """Return the same numbers without gradients."""
        return self._each(Tensor.detach)

    def to(self, device: torch.device | str) -> Scores:
        """Return the same scores on another device."""
        return self._each(lambda value: _sent(value, torch.device(device)))

    @staticmethod
    def beside(tensor: Tensor, numbers: Sequence[Any]) -> Tensor:
        """Return `numbers` in a tensor's type on its device, without waiting for the device."""
        return _sent(torch.tensor(numbers, dtype=tensor.dtype), tensor.device)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Scores:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {k: change(v) for k, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **changed)


def _sent(values: Tensor, device: torch.device) -> Tensor:
    """Return `values` on a device, where a GPU need not be waited for without waiting."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def send_numbers(device: torch.device | str, **numbers: Sequence[int]) -> dict[str, Tensor]:
    """Put lists on `device`, int64 each, in one copy that the host does not wait for."""
    joined = torch.tensor([n for part in numbers.values() for n in part], dtype=torch.int64)
    sent = _sent(joined, torch.device(device))
    parts = sent.split([len(part) for part in numbers.values()])
    return dict(zip(numbers, parts, strict=True))


def from_lists(
    logps: Sequence[Sequence[float]],
    tree: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Scores:
    """Make scores written down by hand, for examples, tests and tabular policies.

    Args:
        logps: log-probability of every token of every continuation, nats.
        tree: tree of every continuation, from 0; one tree for each when None.
        dtype: of the log-probabilities; float64 for gradient checks.
    """
    lengths = torch.tensor([len(tokens) for tokens in logps])
    return Scores(
        logps=torch.tensor([value for tokens in logps for value in tokens], dtype=dtype),
        owner=torch.repeat_interleave(torch.arange(len(logps)), lengths),
        lengths=lengths,
        tree=torch.arange(len(logps)) if tree is None else torch.tensor(tree),
    )


def concatenate(parts: list[Scores]) -> Scores:
    """Join scores of several rows; trees and continuations are numbered on, row after row.

    Trees are numbered from 0 in every part and each part's trees are consecutive.
    """
    owners, trees, continuations, seen = [], [], 0, 0
    for part in parts:
        owners.append(part.owner + continuations)
        trees.append(part.tree + seen)
        continuations += part.count
        seen += int(part.tree[-1]) + 1 if part.count else 0
    joined: dict[str, Any] = {
        name: torch.cat([getattr(part, name) for part in parts])
        for name in ("logps", *EXTRAS)
        if getattr(parts[0], name) is not None
    }
    lengths = torch.cat([part.lengths for part in parts])
    return Scores(owner=torch.cat(owners), lengths=lengths, tree=torch.cat(trees), **joined)
