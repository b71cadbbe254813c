"""Models advanced token by token, one or several under a guide: what every decoding stands on.

Knows token ids, logits and key-value caches; its tensors stay on the device. Knows nothing of
choosing tokens, of stopping or of text.

The borders leave room for faster steppers: logits may lie in static buffers that a captured graph
refills, since they are read before the next `advance`, and only `keep` changes the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from accordant.base.errors import UserError
from accordant.models.adapters import reference_mode
from accordant.models.facts import position_limit, text_config
from accordant.sampling.kv_cache import new_cache, next_logits, padded_prompts
from accordant.scoring.engine import evaluating

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers.cache_utils import DynamicCache

    from accordant.sampling.samples import Prompt

State = Any
"""Where a stepper's rows stand; only the stepper that made it looks inside."""


class Stepper(Protocol):
    """Something that gives the logits of the next token and takes the token chosen."""

    @property
    def vocabulary(self) -> int:
        """Number of token ids, the width of its logits."""

    @property
    def positions(self) -> int | None:
        """Most tokens of a prompt and its answer together; None for no limit."""

    @property
    def device(self) -> torch.device:
        """Where its logits are."""

    def evaluating(self) -> AbstractContextManager[None]:
        """Keep its models in evaluation mode inside the block; everything below runs in one."""
        ...

    def start(self, prompts: Sequence[Prompt], copies: int) -> State:
        """Read prompts (token ids) and stand after them, each in `copies` neighbouring rows."""
        ...

    def logits(self, state: State) -> Tensor:
        """Return the logits to draw every row's next token from, float32 `[rows, vocabulary]`."""
        ...

    def model_logits(self, state: State) -> Tensor:
        """Return the same before any guide: what `Sample.logps` are under."""
        ...

    def advance(self, state: State, tokens: Tensor) -> None:
        """Append a token to every row, int64 `[rows]`."""
        ...

    def keep(self, state: State, rows: Tensor) -> None:
        """Let row i be what row `rows[i]` was, int64 `[kept]`: drops, repeats or forks rows."""
        ...


@dataclass(slots=True)
class ModelState:
    """A batch of one model in the middle of decoding.

    Args:
        cache: keys and values of all tokens fed so far.
        mask: 1 for tokens, 0 for padding on the left, int64 `[rows, length]`; None without padding.
        positions: position id of the next token of every row, int64 `[rows]`.
        logits: for the next token of every row, float32 `[rows, vocabulary]`.
    """

    cache: DynamicCache
    mask: Tensor | None
    positions: Tensor
    logits: Tensor


class ModelStepper:
    """A transformers causal language model, or a PEFT model around one, over a key-value cache.

    Args:
        model: the model.
        vocabulary: token ids it shares with other models; logits of further ones, which pad its
            head, are cut off. None for all.
        adapter: whether the model's adapter is part of it; off when False, so that a model and
            what it was before its adapter may be guided together.
    """

    def __init__(
        self, model: nn.Module, vocabulary: int | None = None, *, adapter: bool = True
    ) -> None:
        self.model = model
        self.adapter = adapter
        self.vocabulary = vocabulary or text_config(model).vocab_size
        self.positions = position_limit(model)

    @property
    def device(self) -> torch.device:
        """Where the model is, as it stands: a model may be moved."""
        return next(self.model.parameters()).device

    def evaluating(self) -> AbstractContextManager[None]:
        """Keep the model in evaluation mode; every module's own training flag comes back."""
        return evaluating(self.model)

    @torch.inference_mode()
    def start(self, prompts: Sequence[Prompt], copies: int) -> ModelState:
        """Feed prompts once, padded on the left, and repeat each in the batch."""
        tokens, mask = padded_prompts(prompts, self.device)
        padding = mask if bool((mask == 0).any()) else None
        cache = new_cache(self.model)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = self._next(tokens, padding, positions, cache)
        state = ModelState(cache, padding, mask.sum(1), logits)
        if copies > 1:
            # The prompt was computed once; only its keys and values are repeated.
            rows = torch.arange(len(prompts), device=logits.device)
            self.keep(state, rows.repeat_interleave(copies))
        return state

    def logits(self, state: ModelState) -> Tensor:
        """Return the model's logits, float32 `[rows, vocabulary]`."""
        return state.logits

    model_logits = logits

    @torch.inference_mode()
    def advance(self, state: ModelState, tokens: Tensor) -> None:
        """Feed the chosen tokens."""
        if state.mask is not None:
            state.mask = torch.cat([state.mask, state.mask.new_ones(len(tokens), 1)], dim=1)
        positions = state.positions[:, None]
        state.logits = self._next(tokens[:, None], state.mask, positions, state.cache)
        state.positions = state.positions + 1

    @torch.inference_mode()
    def keep(self, state: ModelState, rows: Tensor) -> None:
        """Select rows of the cache and of everything beside it."""
        state.cache.batch_select_indices(rows)
        state.positions, state.logits = state.positions[rows], state.logits[rows]
        state.mask = None if state.mask is None else state.mask[rows]

    def _next(
        self, tokens: Tensor, mask: Tensor | None, positions: Tensor, cache: DynamicCache
    ) -> Tensor:
        # Per token: the same weights take turns with and without their adapter.
        with nullcontext() if self.adapter else reference_mode(self.model):
            logits = next_logits(self.model, tokens, mask, positions, cache)
        return logits[:, : self.vocabulary]


@dataclass(slots=True)
class GuidedState:
    """Several models' batches at the same place of the same texts.

    Args:
        states: one per stepper.
        tokens: what was appended to every row so far, int64 `[rows, steps]`.
    """

    states: list[State]
    tokens: Tensor


GuideFunction = Callable[[Sequence["Tensor"], GuidedState], "Tensor"]
"""Logits of k models, float32 `[rows, vocabulary]` each, and where they stand -> logits."""


def interpolate(weights: Sequence[float]) -> GuideFunction:
    """Make the guide to the geometric mixture of models, prod_k pi_k^weight_k / Z at every token.

    The mixture of whole texts has another Z for every prefix: both agree on answers of one token.

    Args:
        weights: one for each model; for a distribution between them they sum to 1.
    """

    def mixed(logits: Sequence[Tensor], state: GuidedState) -> Tensor:
        del state
        parts = [weight * part for weight, part in zip(weights, logits, strict=True)]
        return torch.stack(parts).sum(0)

    return mixed


class Guided:
    """Several steppers that read and write the same tokens, drawn as a guide says.

    The first is the model that is guided: samples' `logps` are under it.

    Args:
        steppers: at least one, of the same vocabulary.
        guide: makes one row of logits of each row of theirs.

    Raises:
        UserError: their vocabularies differ.
    """

    def __init__(self, steppers: Sequence[Stepper], guide: GuideFunction) -> None:
        sizes = [stepper.vocabulary for stepper in steppers]
        if len(set(sizes)) > 1:
            raise UserError(
                f"the models have vocabularies of {', '.join(f'{n:,}' for n in sizes)} tokens; "
                "a guide mixes models of one vocabulary.",
                mend="Take models of one family, with the same tokenizer.",
            )
        self.steppers, self.guide = tuple(steppers), guide
        self.vocabulary, self.device = sizes[0], steppers[0].device
        limits = [s.positions for s in steppers if s.positions is not None]
        self.positions = min(limits, default=None)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Keep every model in evaluation mode."""
        with ExitStack() as stack:
            for stepper in self.steppers:
                stack.enter_context(stepper.evaluating())
            yield

    def start(self, prompts: Sequence[Prompt], copies: int) -> GuidedState:
        """Let every model read the prompts."""
        states = [stepper.start(prompts, copies) for stepper in self.steppers]
        rows = len(prompts) * copies
        return GuidedState(states, torch.empty(rows, 0, dtype=torch.long, device=self.device))

    def logits(self, state: GuidedState) -> Tensor:
        """Return what the guide makes of the models' logits."""
        pairs = zip(self.steppers, state.states, strict=True)
        # Models on several devices meet where the guided one is.
        views = [s.logits(inner).to(self.device, non_blocking=True) for s, inner in pairs]
        return self.guide(views, state)

    def model_logits(self, state: GuidedState) -> Tensor:
        """Return the logits of the model that is guided."""
        return self.steppers[0].model_logits(state.states[0])

    def advance(self, state: GuidedState, tokens: Tensor) -> None:
        """Append the same tokens for every model."""
        for stepper, inner in zip(self.steppers, state.states, strict=True):
            stepper.advance(inner, tokens.to(stepper.device))
        state.tokens = torch.cat([state.tokens, tokens[:, None]], dim=1)

    def keep(self, state: GuidedState, rows: Tensor) -> None:
        """Select the same rows of every model."""
        for stepper, inner in zip(self.steppers, state.states, strict=True):
            stepper.keep(inner, rows.to(stepper.device))
        state.tokens = state.tokens[rows]
