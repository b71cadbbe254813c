"""A batch in the middle of decoding: what is drawn, and one step of it as a function of tensors.

Knows steppers, options and where every row is in its sequence. A step reads and writes tensors that
stay where they are and asks the device nothing, so that CUDA replays it as one graph. Knows nothing
of which sequences the rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from accordant.sampling.choice import choose_tokens, log_probability

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.sampling.samples import Prompt, SamplingOptions
    from accordant.sampling.stepper import State, Stepper

# The step that is captured: in the first ones libraries choose kernels and take memory.
WARM = 3


@dataclass(slots=True)
class Batch:
    """Rows of sequences that are drawn together.

    Args:
        stepper: one model, or several under a guide.
        options: how to sample.
        state: where the stepper's rows stand: before the token that was drawn last.
        keys: of every row's noise, int32 `[rows, 2]`.
        written: tokens it has drawn, int64 `[rows]`.
        ended: whether it has met a stop token, bool `[rows]`.
        tokens: what it has drawn, int64 `[rows, max_new_tokens + 1]`; the last column is waste.
        logps: their log-probability under the model, float32, of the same shape.
        drawn_logps: the same under the distribution that was drawn from.
        last: the token drawn last, int64 `[rows]`.
        stops: stop tokens, int64.
        seen: tokens a row holds, bool `[rows, vocabulary]`; None where repetition is not penalised.
    """

    stepper: Stepper
    options: SamplingOptions
    state: State
    keys: Tensor
    written: Tensor
    ended: Tensor
    tokens: Tensor
    logps: Tensor
    drawn_logps: Tensor
    last: Tensor
    stops: Tensor
    seen: Tensor | None
    _steps: int = field(default=0, init=False)
    _graph: torch.cuda.CUDAGraph | None = field(default=None, init=False)

    @classmethod
    @torch.inference_mode()
    def start(
        cls,
        stepper: Stepper,
        prompts: Sequence[Prompt],
        copies: int,
        keys: Sequence[tuple[int, int]],
        options: SamplingOptions,
    ) -> Batch:
        """Read prompts and draw the first token of `copies` neighbouring rows of each."""
        device, rows = stepper.device, len(keys)
        seen = None
        if options.repetition_penalty != 1:
            seen = torch.zeros(len(prompts), stepper.vocabulary, dtype=torch.bool)
            for row, prompt in enumerate(prompts):
                seen[row, list(prompt)] = True
            seen = seen.repeat_interleave(copies, dim=0).to(device)
        tokens = torch.zeros(rows, options.max_new_tokens + 1, dtype=torch.long, device=device)
        batch = cls(
            stepper,
            options,
            stepper.start(prompts, copies, options.max_new_tokens),
            torch.tensor(keys, dtype=torch.int32, device=device),
            torch.zeros(rows, dtype=torch.long, device=device),
            torch.zeros(rows, dtype=torch.bool, device=device),
            tokens,
            torch.zeros(tokens.shape, device=device),
            torch.zeros(tokens.shape, device=device),
            torch.zeros(rows, dtype=torch.long, device=device),
            torch.tensor(options.stop_ids, dtype=torch.long, device=device),
            seen,
        )
        batch._draw()
        return batch

    @property
    def captured(self) -> bool:
        """Whether its step is replayed as one graph."""
        return self._graph is not None

    @torch.inference_mode()
    def step(self) -> None:
        """Append every row's last token and draw the next."""
        self._steps += 1
        if self._steps == WARM and self.stepper.enters and self.last.is_cuda:
            self._graph = _captured(self._advance)
        if self._graph is None:
            self._advance()
        else:
            self._graph.replay()

    def _advance(self) -> None:
        self.stepper.advance(self.state, self.last)
        self._draw()

    def _draw(self) -> None:
        """Draw a token for every row; those that have ended draw what nobody reads."""
        stepper, options = self.stepper, self.options
        logits, plain = stepper.logits(self.state), stepper.model_logits(self.state)
        tokens, bent = choose_tokens(logits, options, self.keys, self.written, self.seen)
        logps = log_probability(plain, tokens)
        if options.temperature == 0:
            drawn_logps = torch.zeros_like(logps)
        elif bent is plain:
            drawn_logps = logps
        else:
            # Most tokens are excluded, and logsumexp is five times slower at minus infinity.
            drawn_logps = bent.log_softmax(1).gather(1, tokens[:, None]).squeeze(1)
        place = self.written.clamp(max=options.max_new_tokens)[:, None]
        self.tokens.scatter_(1, place, tokens[:, None])
        self.logps.scatter_(1, place, logps[:, None])
        self.drawn_logps.scatter_(1, place, drawn_logps[:, None])
        if self.seen is not None:
            self.seen.scatter_(1, tokens[:, None], True)
        # Not `isin`: it sorts, and asks the device, where there are many.
        self.ended |= (tokens[:, None] == self.stops).any(1)
        self.written += 1
        self.last.copy_(tokens)

    @torch.inference_mode()
    def keep(self, rows: Tensor) -> None:
        """Drop all rows but `rows`, int64."""
        self.stepper.keep(self.state, rows)
        for name in self._by_row():
            setattr(self, name, getattr(self, name)[rows])
        # What was captured goes on in the old rows' memory.
        self._graph, self._steps = None, 0

    @torch.inference_mode()
    def enter(self, rows: Tensor, entering: Batch) -> None:
        """Let row `rows[i]` be row i of another batch of the same stepper and options."""
        self.stepper.enter(self.state, rows, entering.state)
        for name in self._by_row():
            getattr(self, name)[rows] = getattr(entering, name)

    def _by_row(self) -> list[str]:
        names = ["keys", "written", "ended", "tokens", "logps", "drawn_logps", "last"]
        return names if self.seen is None else [*names, "seen"]


def _captured(step: Callable[[], None]) -> torch.cuda.CUDAGraph | None:
    """Record a step, which runs nothing yet; None where it asks the device something."""
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            step()
    except RuntimeError:
        # A guide or an edit of the user's may look at its tensors: then every step is launched.
        return None
    return graph
