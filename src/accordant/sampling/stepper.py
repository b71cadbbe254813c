"""Models advanced token by token, one or several under a guide: what every decoding stands on.

Knows token ids, logits and key-value caches; its tensors stay on the device. Knows nothing of
choosing tokens, of stopping or of text.

A state's tensors are written in place and the host reads none of them, so that a step can be
captured as one graph; only `keep` changes the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

import torch

from accordant.base.errors import UserError
from accordant.models.adapters import reference_mode
from accordant.models.facts import position_limit, text_config
from accordant.sampling.packed import Packed, packed_weights
from accordant.sampling.padded import Padded, Recomputed
from accordant.sampling.slots import Slots, batch_kind, has_slots
from accordant.scoring.engine import evaluating

if TYPE_CHECKING:
    from torch import Tensor, nn

    from accordant.sampling.samples import Prompt

State = Any
"""Where a stepper's rows stand; only the stepper that made it looks inside."""


class Stepper(Protocol):
    """Something that gives the logits of the next token and takes the token chosen."""

    # Token ids, and so the width of its logits.
    vocabulary: int
    # Most tokens of a prompt and its answer together; None for no limit.
    positions: int | None

    @property
    def device(self) -> torch.device:
        """Where its logits are."""

    @property
    def enters(self) -> bool:
        """Whether rows can `enter` a batch that is under way."""

    def evaluating(self) -> AbstractContextManager[None]:
        """Keep its models in evaluation mode inside the block; everything below runs in one."""

    def start(self, prompts: Sequence[Prompt], copies: int, room: int) -> State:
        """Read prompts (token ids) and stand after them, each in `copies` neighbouring rows.

        `room` is the most tokens that a row will be advanced by.
        """

    def logits(self, state: State) -> Tensor:
        """Return the logits to draw every row's next token from, float32 `[rows, vocabulary]`."""

    def model_logits(self, state: State) -> Tensor:
        """Return the same before any guide: what `Sample.logps` are under."""

    def advance(self, state: State, tokens: Tensor) -> None:
        """Append a token to every row, int64 `[rows]`."""

    def keep(self, state: State, rows: Tensor) -> None:
        """Let row i be what row `rows[i]` was, int64 `[kept]`: drops, repeats or forks rows."""

    def enter(self, state: State, rows: Tensor, entering: State) -> None:
        """Let row `rows[i]` be row i of another state of this stepper's."""


@dataclass(slots=True)
class ModelState:
    """A batch of one model in the middle of decoding.

    Args:
        cache: what the model keeps of all tokens fed so far.
        logits: for the next token of every row, float32 `[rows, vocabulary]`.
    """

    cache: Slots | Padded | Recomputed
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
        self._packed: WeakKeyDictionary[nn.Module, Packed] = WeakKeyDictionary()

    @property
    def device(self) -> torch.device:
        """Where the model is, as it stands: a model may be moved."""
        return next(self.model.parameters()).device

    @property
    def enters(self) -> bool:
        """Whether the model's family keeps keys and values in slots."""
        return has_slots(self.model)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Keep the model in evaluation mode; every module's own training flag comes back."""
        with evaluating(self.model), packed_weights(self.model, self._packed):
            yield

    @torch.inference_mode()
    def start(self, prompts: Sequence[Prompt], copies: int, room: int) -> ModelState:
        """Feed every prompt once, and repeat its keys and values."""
        with self._adapted():
            cache, logits = batch_kind(self.model).filled(self.model, prompts, room)
        state = ModelState(cache, logits[:, : self.vocabulary].float())
        if copies > 1:
            rows = torch.arange(len(prompts), device=logits.device)
            self.keep(state, rows.repeat_interleave(copies))
        return state

    def logits(self, state: ModelState) -> Tensor:
        """Return the model's logits, float32 `[rows, vocabulary]`."""
        return state.logits

    model_logits = logits

    def advance(self, state: ModelState, tokens: Tensor) -> None:
        """Feed the chosen token of every row."""
        self._feed(state, tokens[:, None])

    @torch.inference_mode()
    def _feed(self, state: ModelState, tokens: Tensor) -> None:
        with self._adapted():
            logits = state.cache.feed(self.model, tokens)
        state.logits.copy_(logits[:, : self.vocabulary])

    def _adapted(self) -> AbstractContextManager[None]:
        # Around every pass: the same weights take turns with and without their adapter.
        return nullcontext() if self.adapter else reference_mode(self.model)

    @torch.inference_mode()
    def keep(self, state: ModelState, rows: Tensor) -> None:
        """Select rows of the cache and of everything beside it."""
        state.cache.keep(rows)
        state.logits = state.logits[rows]

    @torch.inference_mode()
    def enter(self, state: ModelState, rows: Tensor, entering: ModelState) -> None:
        """Copy rows into the slots of others.

        Raises:
            TypeError: the model's family has no slots.
        """
        if not isinstance(state.cache, Slots) or not isinstance(entering.cache, Slots):
            raise TypeError("no row can enter a padded batch")
        state.cache.enter(rows, entering.cache)
        state.logits[rows] = entering.logits


@dataclass(slots=True)
class GuidedState:
    """Several models' batches at the same place of the same texts.

    Args:
        states: one per stepper.
        tokens: what was appended to every row, int64 `[rows, room]`; -1 where nothing is yet.
        written: how many of them are, int64 `[rows]`.
    """

    states: list[State]
    tokens: Tensor
    written: Tensor

    def holds(self, vocabulary: int) -> Tensor:
        """Return which tokens every row's answer holds, bool `[rows, vocabulary]`."""
        held = self.tokens.new_zeros(len(self.tokens), vocabulary + 1, dtype=torch.bool)
        # Nothing yet, -1, falls into a last column of its own.
        return held.scatter_(1, self.tokens % (vocabulary + 1), True)[:, :-1]


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
        weighted = (weight * row for weight, row in zip(weights, logits, strict=True))
        return sum(weighted, start=logits[0].new_zeros(()))

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

    @property
    def enters(self) -> bool:
        """Whether every model's rows can."""
        return all(stepper.enters for stepper in self.steppers)

    def start(self, prompts: Sequence[Prompt], copies: int, room: int) -> GuidedState:
        """Let every model read the prompts."""
        states = [stepper.start(prompts, copies, room) for stepper in self.steppers]
        rows = len(prompts) * copies
        tokens = torch.full((rows, room), -1, device=self.device)
        return GuidedState(states, tokens, tokens.new_zeros(rows))

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
        # A row that has ended may be fed past its room.
        place = state.written.clamp(max=state.tokens.shape[1] - 1)
        state.tokens.scatter_(1, place[:, None], tokens[:, None])
        state.written.add_(1)

    def keep(self, state: GuidedState, rows: Tensor) -> None:
        """Select the same rows of every model."""
        for stepper, inner in zip(self.steppers, state.states, strict=True):
            stepper.keep(inner, rows.to(stepper.device))
        state.tokens, state.written = state.tokens[rows], state.written[rows]

    def enter(self, state: GuidedState, rows: Tensor, entering: GuidedState) -> None:
        """Copy rows of every model."""
        for stepper, inner, new in zip(self.steppers, state.states, entering.states, strict=True):
            stepper.enter(inner, rows.to(stepper.device), new)
        state.tokens[rows], state.written[rows] = entering.tokens, entering.written
