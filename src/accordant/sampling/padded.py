"""Sequences padded on the left over the cache that a family asks for: slots' slower stand-in.

Knows padding and transformers' caches. For families whose layers keep other things than keys and
values (states of a recurrence, chunks): rows leave, but none can enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers.cache_utils import DynamicCache

from accordant.sampling.forward import next_logits

if TYPE_CHECKING:
    from torch import Tensor, nn

    from accordant.sampling.samples import Prompt


class Padded:
    """A batch over transformers' own cache; methods as those of `slots.Slots`.

    Args:
        cache: of the kind the model's layers ask for.
        mask: 1 for tokens, 0 for padding, int64 `[rows, length]`.
        positions: of the next token of every row, int64 `[rows]`.
    """

    def __init__(self, cache: DynamicCache, mask: Tensor, positions: Tensor) -> None:
        self.cache, self.mask, self.positions = cache, mask, positions

    @classmethod
    def filled(
        cls, model: nn.Module, prompts: Sequence[Prompt], room: int
    ) -> tuple[Padded, Tensor]:
        """Feed prompts, one a row; returns the batch and logits."""
        del room
        device = next(model.parameters()).device
        longest = max(map(len, prompts))
        tokens = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=device)
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
        batch = cls(
            DynamicCache(config=model.config),
            torch.empty(len(prompts), 0, dtype=torch.long, device=device),
            torch.zeros(len(prompts), dtype=torch.long, device=device),
        )
        return batch, batch.feed(model, tokens, mask=mask.to(device))

    def feed(
        self, model: nn.Module, tokens: Tensor, last: int = -1, mask: Tensor | None = None
    ) -> Tensor:
        """Append tokens `[rows, new]`; returns logits after the last, `[rows, vocabulary]`."""
        mask = torch.ones_like(tokens) if mask is None else mask
        self.mask = torch.cat([self.mask, mask], dim=1)
        places = (self.positions[:, None] + mask.cumsum(1) - 1).clamp(min=0)
        self.positions = self.positions + mask.sum(1)
        # Without padding no mask is needed, and kernels without one are faster.
        seen = self.mask if bool((self.mask == 0).any()) else None
        return next_logits(model, tokens, places, self.cache, last, attention_mask=seen)

    def keep(self, rows: Tensor) -> None:
        """Let row i be what row `rows[i]` was."""
        self.cache.batch_select_indices(rows)
        self.mask, self.positions = self.mask[rows], self.positions[rows]

    def shorten(self, length: int, most: int) -> bool:
        """Forget tokens from place `length` on; False where a layer cannot."""
        del most
        surplus = self.cache.get_seq_length() - length
        try:
            # transformers takes the number to drop as a negative one; a positive one raises.
            self.cache.crop(-surplus)
        except (RuntimeError, ValueError, NotImplementedError):
            return False
        self.mask, self.positions = self.mask[:, :length], self.positions - surplus
        return bool(self.cache.get_seq_length() == length)
