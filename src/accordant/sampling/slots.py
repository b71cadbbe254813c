"""Keys and values in slots: rows of one length that are filled, left and entered in place.

Knows transformers' interfaces of caches and attention, and where every row stands. Knows nothing of
choosing tokens. A family whose layers keep anything but keys and values has no slots; `padded` is
for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AttentionInterface
from transformers.cache_utils import Cache

from accordant.models.adapters import base_model_of
from accordant.models.facts import text_config
from accordant.sampling.padded import ONE_PASS, Padded, Recomputed, next_logits
from accordant.scoring.engine import evaluating

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.sampling.samples import Prompt

ATTENTION = "accordant_slots"
# Places by which buffers on a processor grow; attention reads all of them, filled or not.
ROOM = 64

# On a processor, with fewer rows than this, the fused kernel is faster than two products.
FEW_ROWS = 8


class NoSlotsError(Exception):
    """The family's forward pass does not fit slots."""


class Slots(Cache):
    """Keys and values of a batch, token p of every row at place p of its buffers.

    What lies behind a row's position is zeros or left by an earlier row, and is never seen. Sliding
    windows are masks here, so that any row can be shortened.

    Args:
        rows: how many.
        capacity: places of a row.
        device: where positions are.

    Attributes:
        positions: tokens a row holds, which is the position of the next one, int64 `[rows]`.
        longest: at least as many tokens as any row holds; known without asking the device.
        most: tokens that a row will hold at last.
        even: whether all rows hold `longest` tokens.
    """

    def __init__(self, rows: int, capacity: int, device: torch.device) -> None:
        super().__init__(layers=[])
        self.capacity, self.longest, self.most = capacity, 0, capacity
        self.positions = torch.zeros(rows, dtype=torch.long, device=device)
        self.even = True
        self._buffers: dict[int, list[Tensor]] = {}
        self._fed = 1
        self._known: dict[tuple[object, ...], Tensor] = {}

    @classmethod
    def filled(cls, model: nn.Module, prompts: Sequence[Prompt], room: int) -> tuple[Slots, Tensor]:
        """Feed prompts, one a row; returns the slots, with places for `room` more, and logits."""
        device = next(model.parameters()).device
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        longest = int(lengths.max())
        # On a device all places at once: a captured graph knows its buffers by their addresses.
        ahead = 1 if device.type == "cpu" else room + 1
        slots = cls(len(prompts), -(-(longest + ahead) // ROOM) * ROOM, device)
        slots.most, slots.even = longest + room, bool((lengths == longest).all())
        # Padded on the right: behind its last token nothing is seen, and causal attention needs no
        # mask, for which kernels are slower.
        tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            tokens[row, : len(prompt)] = torch.tensor(prompt)
        logits = slots.feed(model, tokens.to(device), (lengths - 1).to(device))
        slots.positions.copy_(lengths)
        return slots, logits

    def feed(self, model: nn.Module, tokens: Tensor, last: Tensor | int = -1) -> Tensor:
        """Append tokens `[rows, new]` behind the longest row; of the others, one token a row.

        Returns:
            logits after each row's token `last`, `[rows, vocabulary]` in the model's dtype.
        """
        rows, self._fed = tokens.shape
        self.reserve(min(self.longest + self._fed, self.most))
        self._known.clear()
        if self._fed == 1:
            # A row that has ended may still be fed: it stays at its last place.
            positions = self.positions.clamp_(max=self.capacity - 1)[:, None]
        else:
            ends = torch.arange(self.longest, self.longest + self._fed, device=tokens.device)
            positions = ends.expand(rows, -1)
        with _attending(model):
            logits = next_logits(model, tokens, positions, self, last, slots=self)
        # In place, as a captured graph goes on reading here.
        self.positions.add_(self._fed)
        self.longest = min(self.longest + self._fed, self.capacity)
        return logits

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Write new states `[rows, heads, new, width]`; returns what there is to attend to."""
        states = (key_states, value_states)
        if layer_idx not in self._buffers:
            # Zeros, not any memory: a masked place still enters a product, and NaN times 0 is NaN.
            self._buffers[layer_idx] = [
                new.new_zeros(*new.shape[:2], self.capacity, new.shape[3]) for new in states
            ]
        buffers, start = self._buffers[layer_idx], self.longest
        if self._fed == 1:
            places = self._places(key_states)
            for buffer, new in zip(buffers, states, strict=True):
                buffer.flatten(0, 2).index_copy_(0, places, new.flatten(0, 2))
            if not self._single:
                return buffers[0], buffers[1]
        else:
            for buffer, new in zip(buffers, states, strict=True):
                buffer[:, :, start : start + self._fed] = new
            if start == 0:
                return states
        end = start + self._fed
        return buffers[0][:, :, :end], buffers[1][:, :, :end]

    @property
    def _single(self) -> bool:
        # One row needs no mask if its spare places are cut off; a captured graph cannot cut.
        return self.even and len(self.positions) == 1 and not self.positions.is_cuda

    def _places(self, states: Tensor) -> Tensor:
        """Return where every row's and head's next states go in a flattened buffer."""
        heads, device = states.shape[1], states.device
        key = ("places", heads, device)
        if key not in self._known:
            lines = torch.arange(len(self.positions) * heads, device=device)
            at = self.positions.to(device).repeat_interleave(heads)
            self._known[key] = lines * self.capacity + at
        return self._known[key]

    def mask(self, key: Tensor, window: int | None) -> Tensor | None:
        """Return what a query sees, bool `[rows or 1, 1, new, places]`; None for all before it."""
        places = key.shape[2]
        whole = self._single if self._fed == 1 else self.longest == 0
        if whole and (window is None or places <= window):
            return None
        name = ("mask", window, places, key.device)
        if name not in self._known:
            at = torch.arange(places, device=key.device)
            if self._fed == 1:
                ends = self.positions.to(key.device)[:, None, None, None]
            else:
                ends = at[self.longest : self.longest + self._fed, None]
            seen = at <= ends
            seen = seen if window is None else seen & (at > ends - window)
            self._known[name] = seen if seen.dim() == 4 else seen[None, None]
        return self._known[name]

    def reserve(self, length: int) -> None:
        """Make places for `length` tokens a row."""
        if length <= self.capacity:
            return
        grown = -(-length // ROOM) * ROOM - self.capacity
        self._map(lambda buffer: nn.functional.pad(buffer, (0, 0, 0, grown)))
        self.capacity += grown

    def keep(self, rows: Tensor) -> None:
        """Let row i be what row `rows[i]` was."""
        self.positions = self.positions[rows]
        self._map(lambda buffer: buffer[rows.to(buffer.device)])

    def enter(self, rows: Tensor, entering: Slots) -> None:
        """Let row `rows[i]` be row i of other slots."""
        self.reserve(entering.longest)
        self.longest = max(self.longest, entering.longest)
        self.most = max(self.most, entering.most)
        self.even = False
        self.positions[rows] = entering.positions
        for layer, buffers in self._buffers.items():
            for buffer, new in zip(buffers, entering._buffers[layer], strict=True):
                end = entering.longest
                buffer[rows.to(buffer.device), :, :end] = new[:, :, :end]

    def shorten(self, length: int, most: int) -> bool:
        """Forget the tokens of every row from place `length` on; it will hold `most` at last."""
        self.positions.clamp_(max=length)
        self.longest, self.most = min(self.longest, length), most
        return True

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002
        """Return the tokens of the longest row."""
        return self.longest

    def _map(self, change: Callable[[Tensor], Tensor]) -> None:
        self._buffers = {n: [change(b) for b in pair] for n, pair in self._buffers.items()}


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    slots: Slots | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Compute attention to slots; arguments and result as transformers' functions have them."""
    del module, attention_mask
    if slots is None or options.get("position_bias") is not None:
        raise NoSlotsError
    rows, heads, new, width = query.shape
    scaling = width**-0.5 if scaling is None else scaling
    seen = slots.mask(key, sliding_window)
    plain = softcap is None and s_aux is None
    if plain and new > 1:
        output = nn.functional.scaled_dot_product_attention(
            query, key, value, seen, is_causal=seen is None, scale=scaling, enable_gqa=True
        )
        return output.transpose(1, 2), None
    # Heads that share keys become queries of one head: no key is copied or read twice.
    query = query.reshape(rows, key.shape[1], -1, width)
    if plain and (rows < FEW_ROWS or query.is_cuda):
        output = nn.functional.scaled_dot_product_attention(query, key, value, seen, scale=scaling)
    else:
        if seen is None:
            seen = torch.ones(new, new, dtype=torch.bool, device=key.device).tril()[None, None]
        output = _products(query, key, value, seen, scaling, softcap, s_aux)
    return output.reshape(rows, heads, new, -1).transpose(1, 2), None


def _products(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    seen: Tensor,
    scaling: float,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """Compute attention by two products, queries `[rows, key heads, group * new, width]`."""
    dots = (query @ key.transpose(2, 3)).float().mul_(scaling)
    if softcap is not None:
        dots = softcap * torch.tanh(dots / softcap)
    rows, heads, lines, places = dots.shape
    dots = dots.view(rows, heads, -1, seen.shape[2], places)
    dots.masked_fill_(~seen[:, :, None], -torch.inf)
    if sinks is not None:
        # A sink is one more place that takes probability and gives nothing (gpt-oss).
        sink = sinks.float().view(1, heads, -1, 1, 1).expand(*dots.shape[:4], 1)
        dots = torch.cat([dots, sink], dim=-1)
    chances = dots.softmax(-1)[..., :places].to(value.dtype)
    return chances.view(rows, heads, lines, places) @ value


AttentionInterface.register(ATTENTION, attend)


@contextmanager
def _attending(model: nn.Module) -> Iterator[None]:
    """Let the model attend to slots inside the block."""
    config = text_config(base_model_of(model))
    with ONE_PASS:
        before = config._attn_implementation
        config._attn_implementation = ATTENTION
        try:
            yield
        finally:
            config._attn_implementation = before


def has_slots(model: nn.Module) -> bool:
    """Say whether the model computes the same over slots; found out once, on a few tokens."""
    return batch_kind(model) is Slots


def batch_kind(model: nn.Module) -> type[Slots | Padded | Recomputed]:
    """Choose how the model's batches are kept; found out once, on a few tokens."""
    base: Any = base_model_of(model)
    known: type[Slots | Padded | Recomputed] | None = vars(base).get("_accordant_batch")
    if known is None:
        known = base._accordant_batch = _choose(model, base)
    return known


def _choose(model: nn.Module, base: Any) -> type[Slots | Padded | Recomputed]:
    kinds = set(getattr(text_config(base), "layer_types", None) or ())
    plain = kinds <= {"full_attention", "sliding_attention"}
    if plain and getattr(base, "_supports_attention_backend", False) and _agrees(model, Slots):
        return Slots
    # A state that padding leaks into errs by less than bfloat16 rounds, so only float32 can tell.
    if getattr(base, "_is_stateful", False) and base.dtype != torch.float32:
        return Recomputed
    return Padded if _agrees(model, Padded) else Recomputed


@torch.inference_mode()
def _agrees(model: nn.Module, kind: type[Slots | Padded]) -> bool:
    """Compare a step over repeated rows with the model's own pass over whole sequences."""
    texts = [[5, 3, 8, 1, 7], [5, 3, 8, 1, 2], [2, 6]]
    device = next(model.parameters()).device
    with evaluating(model):
        exact = [model(input_ids=torch.tensor([t], device=device)).logits[0, -1] for t in texts]
        try:
            batch, _ = kind.filled(model, [texts[0][:-1], texts[2][:-1]], 1)
            batch.keep(torch.tensor([0, 0, 1], device=device))
            ends = torch.tensor([text[-1:] for text in texts], device=device)
            logits = batch.feed(model, ends)
        except Exception:
            # Whatever a family says of a cache that is not its own, it cannot be sampled over it.
            return False
    expected = torch.stack(exact).float()
    error = (logits.float() - expected).norm() / expected.norm().clamp_min(1e-12)
    # bfloat16 keeps 8 bits, and layers add up; a wrong mask errs by its order of magnitude.
    return float(error) <= (8e-2 if logits.dtype.itemsize == 2 else 1e-4)
