"""One answer as a stream of text, over a cache that is kept from turn to turn.

Knows one sequence of token ids, its cache, and how a tokenizer's pieces become text. Knows nothing
of conversations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from accordant.sampling.choice import sequence_generator
from accordant.sampling.kv_cache import feed, new_cache
from accordant.sampling.sampling import SamplingOptions, check_lengths, choose
from accordant.scoring.engine import evaluating

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase
    from transformers.cache_utils import DynamicCache

BROKEN = "�"
"""What a tokenizer decodes the first bytes of an unfinished character to."""


@dataclass(slots=True)
class Memory:
    """Tokens whose keys and values are kept, so that the next prompt starts where it differs.

    Args:
        tokens: token ids that `cache` holds.
        cache: their keys and values; None while there are none.
    """

    tokens: list[int] = field(default_factory=list)
    cache: DynamicCache | None = None

    def clear(self) -> None:
        """Forget everything."""
        self.tokens, self.cache = [], None


def stream_tokens(
    model: nn.Module,
    prompt: Sequence[int],
    options: SamplingOptions,
    memory: Memory | None = None,
    *,
    ordinal: int = 0,
) -> Iterator[int]:
    """Sample one continuation token by token; the stop token is not yielded.

    Equals the sample number `ordinal` that `generate` draws for the same prompt and options.

    Args:
        model: a transformers causal language model, or a PEFT model around one.
        prompt: token ids, at least one.
        options: how to sample; `samples_per_prompt` and `batch_size` are not used.
        memory: of earlier calls with the same model; brought up to date.
        ordinal: which of this prompt's samples to draw.

    Raises:
        UserError: prompt and new tokens exceed the model's positions.
        ValueError: an empty prompt.
    """
    check_lengths(model, [prompt], options)
    memory = Memory() if memory is None else memory
    device = next(model.parameters()).device
    generator = sequence_generator(options.seed, prompt, ordinal, device)
    with evaluating(model):
        logits = _catch_up(model, list(prompt), memory)
        for step in range(options.max_new_tokens):
            with torch.inference_mode():
                token = int(choose(logits, options, [generator]))
            if token in options.stop_ids:
                return
            yield token
            if step + 1 < options.max_new_tokens:
                logits = _extend(model, [token], memory)


def stream(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[int],
    options: SamplingOptions,
    memory: Memory | None = None,
    *,
    ordinal: int = 0,
) -> Iterator[str]:
    """Sample one continuation as pieces of text; arguments and errors as for `stream_tokens`.

    A piece ends where a character does, so the pieces can be printed as they come; together they
    are the decoded continuation without special tokens.
    """
    tokens = stream_tokens(model, prompt, options, memory, ordinal=ordinal)
    return text_pieces(tokenizer, tokens)


def text_pieces(tokenizer: PreTrainedTokenizerBase, tokens: Iterator[int]) -> Iterator[str]:
    """Decode tokens as they come, holding back characters whose bytes are not complete.

    Each piece is decoded together with the one before it, because some tokenizers write a token
    differently at the start of a text.
    """
    before: list[int] = []
    held: list[int] = []
    for token in tokens:
        held.append(token)
        piece = _new_text(tokenizer, before, held)
        if piece and not piece.endswith(BROKEN):
            yield piece
            before, held = held, []
    # What is still held at the end is broken for good, and shown as it is.
    if held and (piece := _new_text(tokenizer, before, held)):
        yield piece


def _new_text(tokenizer: PreTrainedTokenizerBase, before: list[int], held: list[int]) -> str:
    known: str = tokenizer.decode(before, skip_special_tokens=True)
    both: str = tokenizer.decode(before + held, skip_special_tokens=True)
    return both[len(known) :]


def _catch_up(model: nn.Module, prompt: list[int], memory: Memory) -> Tensor:
    """Feed what memory lacks of `prompt`; logits of the token after it, `[1, vocabulary]`."""
    # The last token is always fed again: its logits are not kept.
    known = min(_common_prefix(memory.tokens, prompt), len(prompt) - 1)
    if not _forget_after(memory, known):
        memory.clear()
    return _extend(model, prompt[len(memory.tokens) :], memory)


def _extend(model: nn.Module, tokens: list[int], memory: Memory) -> Tensor:
    if memory.cache is None:
        memory.cache = new_cache(model)
    cache, start = memory.cache, len(memory.tokens)
    # Should the forward be interrupted, half a cache must not pass for a whole one.
    known, memory.tokens, memory.cache = memory.tokens, [], None
    with torch.inference_mode():
        logits = feed(model, tokens, start, cache)
    memory.tokens, memory.cache = known + tokens, cache
    return logits


def _common_prefix(left: list[int], right: list[int]) -> int:
    pairs = zip(left, right, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def _forget_after(memory: Memory, length: int) -> bool:
    """Shorten memory to `length` tokens; False where its layers cannot (a full sliding window)."""
    surplus = len(memory.tokens) - length
    if surplus == 0 or memory.cache is None:
        return True
    cache: Any = memory.cache
    try:
        cache.crop(-surplus)
    except (RuntimeError, ValueError, NotImplementedError):
        return False
    if cache.get_seq_length() != length:
        return False
    memory.tokens = memory.tokens[:length]
    return True
