"""The loop of generation, the only one: draw a token for every row, stop what has ended, advance.

Knows steppers, options and random generators, one a sequence: its tokens do not depend on the batch
it was sampled in, as far as logits do not (their rounding may change with the batch, above all in
bfloat16). Knows nothing of models, caches or text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from accordant.base.errors import UserError
from accordant.sampling.choice import choose_tokens, log_probability, sequence_generator
from accordant.sampling.samples import Sample, SamplingOptions, grouped

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.sampling.samples import Prompt
    from accordant.sampling.stepper import Stepper

Progress = Callable[[int, int, int], None]
"""Called after every step with: sequences finished, sequences in all, tokens generated so far."""

COMPACT_SHARE = 8
"""Rows are dropped once one in so many has finished: narrowing copies the whole cache."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What one step drew. Rows that ended earlier may still be there; their tokens mean nothing.

    Args:
        rows: which sequence a row belongs to, int64 `[rows]`.
        tokens: token ids, int64 `[rows]`.
        logps: their log-probability under the model, float32 `[rows]`.
        drawn_logps: the same under the distribution that was drawn from.
        drawn: sequences that had not ended before this step.
        running: sequences that go on after it.
    """

    rows: Tensor
    tokens: Tensor
    logps: Tensor
    drawn_logps: Tensor
    drawn: int
    running: int


def decode(
    stepper: Stepper,
    prompts: Sequence[Prompt],
    copies: int,
    generators: Sequence[torch.Generator],
    options: SamplingOptions,
) -> Iterator[Draws]:
    """Continue prompts step by step until every sequence has met a stop token or its length.

    Tensors stay on the device; the host waits once a step, for the number of sequences that go on.

    Args:
        stepper: one model, or several under a guide.
        prompts: token ids, at least one each.
        copies: sequences a prompt.
        generators: one per sequence, prompt by prompt.
        options: how to sample; its `samples_per_prompt` and `batch_size` are not used.
    """
    with stepper.evaluating():
        state = stepper.start(prompts, copies)
        rows = _Rows.first(stepper, prompts, copies, generators, options)
        stops = torch.tensor(options.stop_ids, dtype=torch.long, device=stepper.device)
        running = len(generators)
        for step in range(options.max_new_tokens):
            with torch.inference_mode():
                drawn = rows.draw(stepper, state, options)
                rows.ended |= torch.isin(drawn[0], stops)
                last = step + 1 == options.max_new_tokens
                # Without stop tokens nothing ends early, and the host need not wait.
                left = rows.running() if options.stop_ids else running
                before, running = running, 0 if last else left
            yield Draws(rows.numbers, *drawn, before, running)
            if not running:
                return
            tokens = drawn[0]
            if (len(rows.generators) - running) * COMPACT_SHARE >= len(rows.generators):
                tokens = rows.compact(stepper, state, tokens)
            stepper.advance(state, tokens)


@dataclass(slots=True)
class _Rows:
    """What is known of the rows of a batch besides the stepper's state.

    Args:
        numbers: which sequence each is, int64 `[rows]`.
        ended: whether it has met a stop token, bool `[rows]`.
        generators: its random numbers.
        seen: tokens it holds, bool `[rows, vocabulary]`; None where repetition is not penalised.
    """

    numbers: Tensor
    ended: Tensor
    generators: list[torch.Generator]
    seen: Tensor | None

    @staticmethod
    def first(
        stepper: Stepper,
        prompts: Sequence[Prompt],
        copies: int,
        generators: Sequence[torch.Generator],
        options: SamplingOptions,
    ) -> _Rows:
        """Lay out the rows as `Stepper.start` does."""
        numbers = torch.arange(len(generators), device=stepper.device)
        seen = None
        if options.repetition_penalty != 1:
            known = torch.zeros(len(prompts), stepper.vocabulary, dtype=torch.bool)
            for row, prompt in enumerate(prompts):
                known[row, list(prompt)] = True
            seen = known.repeat_interleave(copies, dim=0).to(stepper.device)
        return _Rows(numbers, torch.zeros_like(numbers, dtype=torch.bool), list(generators), seen)

    def draw(
        self, stepper: Stepper, state: object, options: SamplingOptions
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a token for every row: ids, log-probs under the model and as drawn, `[rows]`."""
        logits, plain = stepper.logits(state), stepper.model_logits(state)
        tokens, bent = choose_tokens(logits, options, self.generators, self.seen)
        if self.seen is not None:
            self.seen[torch.arange(len(tokens), device=tokens.device), tokens] = True
        logps = log_probability(plain, tokens)
        if options.temperature == 0:
            return tokens, logps, torch.zeros_like(logps)
        if bent is plain:
            return tokens, logps, logps
        # Most tokens are excluded, and logsumexp is five times slower at minus infinity.
        drawn = bent.log_softmax(1).gather(1, tokens[:, None]).squeeze(1)
        return tokens, logps, drawn

    def running(self) -> int:
        """Count the sequences that go on."""
        return len(self.generators) - int(self.ended.sum())

    def compact(self, stepper: Stepper, state: object, tokens: Tensor) -> Tensor:
        """Drop ended rows, here and in the stepper's state; returns the tokens of the others."""
        rows = (~self.ended).nonzero().squeeze(1)
        stepper.keep(state, rows)
        self.numbers, self.ended = self.numbers[rows], self.ended[rows]
        self.generators = [self.generators[row] for row in rows.tolist()]
        self.seen = None if self.seen is None else self.seen[rows]
        return tokens[rows]


def generate(
    stepper: Stepper,
    prompts: Sequence[Prompt],
    options: SamplingOptions,
    progress: Progress | None = None,
) -> list[list[Sample]]:
    """Continue every prompt `samples_per_prompt` times.

    Prompts are batched by length, longest first (so that what does not fit in memory fails at
    once). The same options, prompt and stepper give the same samples whatever other prompts are
    asked for; a prompt that occurs again gets further samples.

    Args:
        stepper: one model, or several under a guide.
        prompts: token ids, at least one each.
        options: how to sample.
        progress: told how far it is after every step.

    Returns:
        the samples of every prompt.

    Raises:
        UserError: a prompt and its new tokens exceed the model's positions.
        ValueError: an empty prompt.
    """
    check_lengths(stepper, prompts, options)
    copies = options.samples_per_prompt
    generators = _generators(prompts, options, stepper.device)
    samples: dict[int, Sample] = {}
    finished = tokens = 0
    for indices, first, count in _plan(prompts, options):
        places = [i * copies + sample for i in indices for sample in range(first, first + count)]
        batch = [prompts[i] for i in indices]
        own = [generators[place] for place in places]
        columns = []
        for column in decode(stepper, batch, count, own, options):
            columns.append(column)
            tokens += column.drawn
            if progress is not None:
                done = finished + len(places) - column.running
                progress(done, len(generators), tokens)
        finished += len(places)
        samples |= zip(places, samples_of(columns, len(places), options), strict=True)
    return grouped([samples[place] for place in range(len(generators))], copies)


def samples_of(
    columns: Sequence[Draws], sequences: int, options: SamplingOptions
) -> Iterator[Sample]:
    """Read columns as one sample a sequence, each cut after its first stop token."""
    shape = (sequences, len(columns))
    tokens = torch.zeros(shape, dtype=torch.long, device=columns[0].tokens.device)
    logps, drawn_logps = (torch.zeros(shape, device=tokens.device) for _ in range(2))
    for step, column in enumerate(columns):
        tokens[column.rows, step] = column.tokens
        logps[column.rows, step] = column.logps
        drawn_logps[column.rows, step] = column.drawn_logps
    stops = frozenset(options.stop_ids)
    for ids, own, drawn in zip(tokens.tolist(), logps.tolist(), drawn_logps.tolist(), strict=True):
        end = next((step for step, token in enumerate(ids) if token in stops), None)
        cut = slice(None if end is None else end + 1)
        stop_id = None if end is None else ids[end]
        yield Sample(tuple(ids[cut]), tuple(own[cut]), tuple(drawn[cut]), end is not None, stop_id)


def check_lengths(stepper: Stepper, prompts: Sequence[Prompt], options: SamplingOptions) -> None:
    """Raise if a prompt is empty (ValueError) or cannot be continued at full length (UserError)."""
    if not all(map(len, prompts)):
        raise ValueError("a prompt needs at least one token")
    limit = stepper.positions
    longest = max(map(len, prompts), default=0)
    if limit is not None and longest + options.max_new_tokens > limit:
        raise UserError(
            f"a prompt of {longest} tokens and {options.max_new_tokens} new ones exceed the "
            f"model's {limit} positions.",
            where="max_new_tokens",
            mend=f"Shorten the prompt, or ask for at most {max(limit - longest, 0)} tokens.",
        )


def _generators(
    prompts: Sequence[Prompt], options: SamplingOptions, device: torch.device
) -> list[torch.Generator]:
    """Make every sequence's generator; a prompt's samples are numbered through all its places."""
    copies = options.samples_per_prompt
    seen: Counter[tuple[int, ...]] = Counter()
    generators = []
    for prompt in map(tuple, prompts):
        for ordinal in range(seen[prompt], seen[prompt] + copies):
            generators.append(sequence_generator(options.seed, prompt, ordinal, device))
        seen[prompt] += copies
    return generators


def _plan(
    prompts: Sequence[Prompt], options: SamplingOptions
) -> Iterator[tuple[list[int], int, int]]:
    """Divide the work into batches: (indices of prompts, first sample, samples of each)."""
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    copies, size = options.samples_per_prompt, options.batch_size
    together = max(size // copies, 1)
    for start in range(0, len(order), together):
        for first in range(0, copies, size):
            yield order[start : start + together], first, min(size, copies - first)
