"""The loop of generation, the only one: sequences wait, enter a batch, end and are read.

Knows batches, prompts and when a sequence is over. What it gives does not depend on what was
sampled beside it, as far as logits do not (their rounding may change with the batch, above all in
bfloat16). Knows nothing of models, caches or logits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING

import torch

from accordant.base.errors import UserError
from accordant.sampling.batch import Batch
from accordant.sampling.choice import sequence_key
from accordant.sampling.samples import Sample, SamplingOptions, grouped

if TYPE_CHECKING:
    from accordant.sampling.samples import Prompt
    from accordant.sampling.stepper import Stepper

Progress = Callable[[int, int, int], None]
"""Called whenever the batch was looked at: sequences finished, sequences in all, tokens so far."""

Decoder = Callable[[Sequence[int]], str]
"""Token ids -> their text."""

# Rows are filled or dropped once one in so many is free: either is work beside the steps.
SHARE = 8

# Steps on a device between two looks at what has ended: each look waits for the device.
UNSEEN = 8


@dataclass(frozen=True, slots=True)
class Waiting:
    """Sequences of one prompt that enter together: the prompt is computed once for them.

    Args:
        prompt: token ids.
        keys: of their noise.
        place: of the first among all samples; the others follow.
    """

    prompt: Prompt
    keys: tuple[tuple[int, int], ...]
    place: int


def generate(
    stepper: Stepper,
    prompts: Sequence[Prompt],
    options: SamplingOptions,
    progress: Progress | None = None,
    decode: Decoder | None = None,
) -> list[list[Sample]]:
    """Continue every prompt `samples_per_prompt` times.

    The longest prompts come first (so that what does not fit in memory fails at once). The same
    options, prompt and stepper give the same samples whatever other prompts are asked for; a prompt
    that occurs again gets further samples.

    Args:
        stepper: one model, or several under a guide.
        prompts: token ids, at least one each.
        options: how to sample.
        progress: told how far it is.
        decode: makes text of tokens; needed for stop strings.

    Returns:
        the samples of every prompt.

    Raises:
        UserError: a prompt and its new tokens exceed the model's positions, or there are stop
            strings and nothing to decode with.
        ValueError: an empty prompt.
    """
    check_lengths(stepper, prompts, options)
    if options.stop_strings and decode is None:
        raise UserError(
            "stop strings are texts, and there is no tokenizer.",
            where="stop_strings",
            mend="Give the sampler the model's tokenizer.",
        )
    waiting = deque(_waiting(prompts, options))
    samples: list[Sample] = [Sample(())] * (len(prompts) * options.samples_per_prompt)
    finished = tokens = 0
    with stepper.evaluating():
        run = _Run(stepper, options, decode)
        while waiting or run.places:
            run.refill(waiting)
            for place, sample in run.finish():
                samples[place] = sample
                finished, tokens = finished + 1, tokens + len(sample.completion)
            if progress is not None:
                progress(finished, len(samples), tokens + sum(map(run.length, run.places)))
            if run.places:
                run.shrink(waiting)
                run.step()
    return grouped(samples, options.samples_per_prompt)


class _Run:
    """The batch that all sequences pass through.

    Attributes:
        rows: of the batch, free ones among them.
        places: which sample a row draws, by row; rows that are not there are free.
        born: the step at which it entered, by row.
        clock: steps so far.
    """

    def __init__(self, stepper: Stepper, options: SamplingOptions, decode: Decoder | None) -> None:
        self.stepper, self.options, self.decode = stepper, options, decode
        self.batch: Batch | None = None
        self.rows = self.clock = 0
        self.places: dict[int, int] = {}
        self.born: dict[int, int] = {}
        self.waits = stepper.device.type != "cpu"

    def length(self, row: int) -> int:
        """Return how many tokens a row has drawn; some may lie behind its end."""
        return min(self.clock - self.born[row] + 1, self.options.max_new_tokens)

    def refill(self, waiting: deque[Waiting]) -> None:
        """Let waiting sequences enter, where enough rows are free."""
        fresh, enters = not self.places, self.stepper.enters
        free = [row for row in range(self.rows) if row not in self.places]
        if not fresh and (not enters or len(free) * SHARE < self.rows):
            return
        lot = _take(waiting, self.options.batch_size if fresh else len(free))
        if not lot:
            return
        keys = [key for item in lot for key in item.keys]
        prompts = [item.prompt for item in lot]
        entering = Batch.start(self.stepper, prompts, len(lot[0].keys), keys, self.options)
        # A device keeps its batch, whose step is captured, also where no row of it is left.
        if self.batch and enters and len(keys) <= len(free) and (self.waits or not fresh):
            self.batch.enter(torch.tensor(free[: len(keys)], device=entering.last.device), entering)
        else:
            self.batch, self.rows = entering, len(keys)
            free = list(range(self.rows))
        places = [item.place + n for item in lot for n in range(len(item.keys))]
        self.places |= zip(free, places, strict=False)
        self.born |= dict.fromkeys(free[: len(keys)], self.clock)

    def finish(self) -> Iterator[tuple[int, Sample]]:
        """Read sequences that are over, and free their rows."""
        assert self.batch is not None
        options = self.options
        # Without stops nothing ends early, and a device need not be asked.
        ended = self.batch.ended.tolist() if options.stop_ids else [False] * self.rows
        texts = self._texts() if options.stop_strings else {}
        over = [
            row
            for row in self.places
            if ended[row]
            or self.length(row) == options.max_new_tokens
            or _holds(texts.get(row, ""), options)
        ]
        at = torch.tensor(over, dtype=torch.long, device=self.batch.last.device)
        tables = (self.batch.tokens, self.batch.logps, self.batch.drawn_logps)
        for row, *columns in zip(over, *(table[at].tolist() for table in tables), strict=True):
            ids = columns[0][: self.length(row)]
            end, stop_id = _end(ids, options, self.decode)
            cut = len(ids) if end is None else end
            ids, logps, drawn_logps = (tuple(column[:cut]) for column in columns)
            sample = Sample(ids, logps, drawn_logps, end is not None, stop_id)
            yield self.places.pop(row), sample

    def _texts(self) -> dict[int, str]:
        """Decode every sequence's end: as much as can have completed a stop string unseen."""
        assert self.batch is not None
        assert self.decode is not None
        # A token holds at least a byte of text.
        reach = UNSEEN + max(len(text.encode()) for text in self.options.stop_strings)
        table = self.batch.tokens.tolist()
        ends = {row: self.length(row) for row in self.places}
        return {row: self.decode(table[row][max(0, n - reach) : n]) for row, n in ends.items()}

    def shrink(self, waiting: deque[Waiting]) -> None:
        """Drop rows that nobody will enter."""
        free = self.rows - len(self.places)
        # A device computes few rows no faster, and would have to capture its step again.
        if self.waits or not free or free * SHARE < self.rows or (waiting and self.stepper.enters):
            return
        assert self.batch is not None
        kept = sorted(self.places)
        self.batch.keep(torch.tensor(kept))
        self.places = {new: self.places[row] for new, row in enumerate(kept)}
        self.born = {new: self.born[row] for new, row in enumerate(kept)}
        self.rows = len(kept)

    def step(self) -> None:
        """Step until it is worth asking what has ended."""
        assert self.batch is not None
        steps = 1
        if self.waits:
            first = max(map(self.length, self.places))
            steps = min(UNSEEN, self.options.max_new_tokens - first)
        for _ in range(steps):
            self.batch.step()
        self.clock += steps


def _waiting(prompts: Sequence[Prompt], options: SamplingOptions) -> Iterator[Waiting]:
    """Order all sequences, longest prompts first; a prompt's are numbered through its places."""
    copies, size = options.samples_per_prompt, options.batch_size
    known: Counter[tuple[int, ...]] = Counter()
    first = []
    for prompt in map(tuple, prompts):
        first.append(known[prompt])
        known[prompt] += copies
    for index in sorted(range(len(prompts)), key=lambda i: -len(prompts[i])):
        prompt = tuple(prompts[index])
        for start in range(0, copies, size):
            ordinals = range(start, min(start + size, copies))
            keys = tuple(sequence_key(options.seed, prompt, first[index] + n) for n in ordinals)
            yield Waiting(prompt, keys, index * copies + start)


def _take(waiting: deque[Waiting], most: int) -> list[Waiting]:
    """Take from the queue what fits into `most` rows: prompts of equally many sequences."""
    if not waiting:
        return []
    each = len(waiting[0].keys)
    alike = takewhile(lambda item: len(item.keys) == each, islice(waiting, most // each))
    return [waiting.popleft() for _ in list(alike)]


def _holds(text: str, options: SamplingOptions) -> bool:
    return any(stop in text for stop in options.stop_strings)


def _end(
    ids: Sequence[int], options: SamplingOptions, decode: Decoder | None
) -> tuple[int | None, int | None]:
    """Find the length at which a stop ends a sequence, and the stop token; None for neither."""
    stops = frozenset(options.stop_ids)
    first = next((n for n, token in enumerate(ids) if token in stops), None)
    if options.stop_strings and decode is not None:
        lengths = range(1, len(ids[:first]) + 1)
        # A text that holds a stop string goes on holding it.
        cut = bisect_left(lengths, True, key=lambda length: _holds(decode(ids[:length]), options))
        if cut < len(lengths):
            return lengths[cut], None
    return (None, None) if first is None else (first + 1, ids[first])


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
