"""One answer as a stream of text, over a cache that is kept from turn to turn.

Knows one sequence of token ids, its cache, and how a tokenizer's pieces become text. Knows nothing
of conversations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

import torch

from accordant.sampling.batch import Batch
from accordant.sampling.choice import sequence_key
from accordant.sampling.generation import check_lengths
from accordant.sampling.stepper import ModelState, ModelStepper

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

    from accordant.sampling.samples import Prompt, SamplingOptions
    from accordant.sampling.stepper import Stepper

# What a tokenizer decodes the first bytes of an unfinished character to.
BROKEN = "\ufffd"


class ResumingStepper(ModelStepper):
    """One sequence whose keys and values are kept, so that the next prompt starts where it differs.

    Args:
        model: a transformers causal language model, or a PEFT model around one.

    Attributes:
        tokens: token ids that `state` holds.
        state: where the sequence stands; None while there is none.
    """

    enters = False

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.tokens: list[int] = []
        self.state: ModelState | None = None

    def start(self, prompts: Sequence[Prompt], copies: int, room: int) -> ModelState:
        """Feed what is not known of the prompt.

        Raises:
            ValueError: several prompts or copies.
        """
        if len(prompts) != 1 or copies != 1:
            raise ValueError("a kept cache holds one sequence")
        prompt = list(prompts[0])
        # The last token is always fed again: its logits are not kept.
        known = min(_common(self.tokens, prompt), len(prompt) - 1)
        state = self.state
        if state is None or not known or not state.cache.shorten(known, len(prompt) + room):
            self.clear()
            state = super().start([prompt], 1, room)
            self.tokens, self.state = prompt, state
        else:
            self.tokens = self.tokens[:known]
            self._extend(state, prompt[known:])
        return state

    def advance(self, state: ModelState, tokens: Tensor) -> None:
        """Feed the chosen token."""
        self._extend(state, tokens.tolist())

    def keep(self, state: ModelState, rows: Tensor) -> None:  # noqa: ARG002
        """Keep the one row there is.

        Raises:
            ValueError: rows are to be repeated or dropped.
        """
        if rows.tolist() != [0]:
            raise ValueError("a kept cache holds one sequence")

    def _extend(self, state: ModelState, tokens: list[int]) -> None:
        known = self.tokens
        # Should the forward be interrupted, half a cache must not pass for a whole one.
        self.clear()
        self._feed(state, torch.tensor([tokens], device=self.device))
        self.tokens, self.state = known + tokens, state


def stream_tokens(
    stepper: Stepper, prompt: Prompt, options: SamplingOptions, *, ordinal: int = 0
) -> Iterator[int]:
    """Sample one continuation token by token; the stop token is not yielded.

    Equals the sample number `ordinal` that `generate` draws for the same prompt and options.

    Args:
        stepper: one model, or several under a guide; a `ResumingStepper` spares what the last
            prompt and this one share.
        prompt: token ids, at least one.
        options: how to sample; `samples_per_prompt` and `batch_size` are not used.
        ordinal: which of this prompt's samples to draw.

    Raises:
        UserError: prompt and new tokens exceed the model's positions.
        ValueError: an empty prompt.
    """
    check_lengths(stepper, [prompt], options)
    key = sequence_key(options.seed, prompt, ordinal)
    with stepper.evaluating():
        batch = Batch.start(stepper, [prompt], 1, [key], options)
        for drawn in range(1, options.max_new_tokens + 1):
            token = int(batch.last)
            if token in options.stop_ids:
                return
            yield token
            if drawn < options.max_new_tokens:
                batch.step()


def stream(
    stepper: Stepper,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    options: SamplingOptions,
    *,
    ordinal: int = 0,
) -> Iterator[str]:
    """Sample one continuation as pieces of text; arguments and errors as for `stream_tokens`.

    A piece ends where a character does, so the pieces can be printed as they come; together they
    are the decoded continuation without special tokens.
    """
    return text_pieces(tokenizer, stream_tokens(stepper, prompt, options, ordinal=ordinal))


def text_pieces(tokenizer: PreTrainedTokenizerBase, tokens: Iterator[int]) -> Iterator[str]:
    """Decode tokens as they come, holding back characters whose bytes are not complete.

    Each piece is decoded together with the one before it, because some tokenizers write a token
    differently at the start of a text.
    """
    before: list[int] = []
    held: list[int] = []

    def new_text() -> str:
        known, both = (
            tokenizer.decode(ids, skip_special_tokens=True) for ids in (before, before + held)
        )
        return str(both[len(known) :])

    for token in tokens:
        held.append(token)
        if (piece := new_text()) and not piece.endswith(BROKEN):
            yield piece
            before, held = held, []
    # What is still held at the end is broken for good, and shown as it is.
    if held and (piece := new_text()):
        yield piece


def _common(left: list[int], right: list[int]) -> int:
    """Count the tokens that two texts begin with alike."""
    return sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))
    )
