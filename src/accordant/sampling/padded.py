"""One pass of a model, and the batches that stand in for `slots` where a family has none.

Knows transformers' forward, head and caches. `Padded` runs over the cache that a family asks for
(chunks, states of a recurrence); `Recomputed` reads whole texts again where no cache is right.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from transformers.cache_utils import DynamicCache

from accordant.models.adapters import base_model_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from accordant.sampling.samples import Prompt


# Held for a pass: hooks and attention are the model's, which a server's threads share.
ONE_PASS = threading.RLock()


def next_logits(
    model: nn.Module,
    tokens: Tensor,
    positions: Tensor,
    cache: Any,
    last: Tensor | int = -1,
    **options: Any,
) -> Tensor:
    """Feed tokens into a cache; returns logits after one token of every row.

    Args:
        model: a transformers causal language model, or a PEFT model around one.
        tokens: int64 `[rows, new]`.
        positions: their position ids, `[rows, new]`.
        cache: is extended in place.
        last: which token of a row, int64 `[rows]`, or of all rows.
        options: further arguments of the model's forward.
    """
    options |= {"position_ids": positions, "past_key_values": cache, "use_cache": True}
    return _logits_after(model, tokens, last, options)


def _logits_after(
    model: nn.Module, tokens: Tensor, last: Tensor | int, options: dict[str, Any]
) -> Tensor:
    """Run one pass and return logits after one token of every row, `[rows, vocabulary]`."""
    rows = torch.arange(len(tokens), device=tokens.device)
    # The head is the dearest layer of a small model: it is given one state a row, whatever its
    # family calls the argument for that, or if it has none.
    head: Any = base_model_of(model).get_output_embeddings()
    with ONE_PASS, ExitStack() as stack:
        if tokens.shape[1] > 1:
            pick = head.register_forward_pre_hook(lambda _, a: (a[0][rows, last][:, None],))
            stack.callback(pick.remove)
        logits: Tensor = model(input_ids=tokens, **options).logits
    return logits[:, 0] if logits.shape[1] == 1 else logits[rows, last]


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
        gaps = [max(map(len, prompts)) - len(prompt) for prompt in prompts]
        tokens = [[0] * gap + list(prompt) for gap, prompt in zip(gaps, prompts, strict=True)]
        mask = [[0] * gap + [1] * len(prompt) for gap, prompt in zip(gaps, prompts, strict=True)]
        ids, seen = (torch.tensor(rows, device=device) for rows in (tokens, mask))
        batch = cls(DynamicCache(config=model.config), seen[:, :0], seen.new_zeros(len(prompts)))
        return batch, batch.feed(model, ids, mask=seen)

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
        # The one selection of rows that caches of recurrent states have as well.
        self.cache.reorder_cache(rows)
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


class Recomputed:
    """A batch that keeps its texts and reads them whole at every step; methods as those of `Slots`.

    For families whose running state no cache of transformers hands from batch to batch, or whose
    states padding would enter. Slow, and the same as the model's own pass over each text.

    Args:
        texts: token ids of every row.
    """

    def __init__(self, texts: list[list[int]]) -> None:
        self.texts = texts

    @classmethod
    def filled(
        cls, model: nn.Module, prompts: Sequence[Prompt], room: int
    ) -> tuple[Recomputed, Tensor]:
        """Take prompts, one a row; returns the batch and logits."""
        del room
        batch = cls([list(prompt) for prompt in prompts])
        return batch, batch._read(model, -1)

    def feed(self, model: nn.Module, tokens: Tensor, last: int = -1) -> Tensor:
        """Append tokens `[rows, new]`; returns logits after one of them, `[rows, vocabulary]`."""
        self.texts = [a + b for a, b in zip(self.texts, tokens.tolist(), strict=True)]
        return self._read(model, last if last < 0 else last - tokens.shape[1])

    def keep(self, rows: Tensor) -> None:
        """Let row i be what row `rows[i]` was."""
        self.texts = [self.texts[row] for row in rows.tolist()]

    def shorten(self, length: int, most: int) -> bool:
        """Forget tokens from place `length` on."""
        del most
        self.texts = [text[:length] for text in self.texts]
        return True

    def _read(self, model: nn.Module, last: int) -> Tensor:
        device = next(model.parameters()).device
        logits: dict[int, Tensor] = {}
        # Texts of one length share a pass, since padding would enter the states of the others.
        for length in sorted({len(text) for text in self.texts}):
            rows = [row for row, text in enumerate(self.texts) if len(text) == length]
            tokens = torch.tensor([self.texts[row] for row in rows], device=device)
            after = _logits_after(model, tokens, last, {"use_cache": False})
            logits |= dict(zip(rows, after, strict=True))
        return torch.stack([logits[row] for row in range(len(self.texts))])
