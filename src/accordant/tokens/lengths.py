"""Token lengths as plain numbers and as a small picture of text.

Knows token counts. Knows nothing of text, tokenizers or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BLOCKS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of encoded records, before any truncation.

    Args:
        prompts: tokens of every tree's prompt.
        continuations: tokens of every continuation, end-of-turn token included.
        sequences: for every record the tokens of its longest prompt and continuation together;
            this is what `max_tokens` limits.
    """

    prompts: tuple[int, ...]
    continuations: tuple[int, ...]
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LengthCounts:
    """Counts of values in bins of equal width; bin i holds edges[i] <= value < edges[i + 1]."""

    edges: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Order statistics of lengths, in tokens; percentiles are values that occur (nearest rank)."""

    count: int
    total: int
    smallest: int
    median: int
    percentile_90: int
    percentile_99: int
    largest: int


def summarise(values: Sequence[int]) -> Summary:
    """Summarise at least one length.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("a summary needs at least one value")
    ordered = sorted(values)

    def rank(percent: int) -> int:
        return ordered[max(-(-percent * len(ordered) // 100) - 1, 0)]

    return Summary(
        len(ordered), sum(ordered), ordered[0], rank(50), rank(90), rank(99), ordered[-1]
    )


def histogram(values: Sequence[int], bins: int = 12) -> LengthCounts:
    """Count whole numbers in at most `bins` bins of equal, whole width.

    Raises:
        ValueError: no values, or fewer than one bin.
    """
    if not values or bins < 1:
        raise ValueError("a histogram needs at least one value and one bin")
    low, high = min(values), max(values)
    width = max(-(-(high - low + 1) // bins), 1)
    number = (high - low) // width + 1
    counts = [0] * number
    for value in values:
        counts[(value - low) // width] += 1
    return LengthCounts(tuple(low + i * width for i in range(number + 1)), tuple(counts))


def draw_bars(picture: LengthCounts, width: int = 40) -> list[str]:
    """Draw a histogram as lines of text, one bin each."""
    top = max(picture.counts)
    labels = [
        f"{low:,}" if high == low + 1 else f"{low:,}-{high - 1:,}"
        for low, high in zip(picture.edges, picture.edges[1:], strict=False)
    ]
    margin = max(map(len, labels))
    return [
        f"{label:>{margin}} {_bar(count, top, width)} {count:,}".rstrip()
        for label, count in zip(labels, picture.counts, strict=True)
    ]


def _bar(count: int, top: int, width: int) -> str:
    eighths = round(count / top * width * 8)
    # A bin that is not empty is never drawn as empty: outliers are what one looks for.
    eighths = max(eighths, 1) if count else 0
    return "█" * (eighths // 8) + (BLOCKS[eighths % 8] if eighths % 8 else "")


def over_limit(lengths: Lengths, max_tokens: int) -> tuple[int, ...]:
    """List the places, from 0, of the records that are longer than `max_tokens`."""
    return tuple(i for i, tokens in enumerate(lengths.sequences) if tokens > max_tokens)


def describe_lengths(lengths: Lengths, max_tokens: int | None = None) -> list[str]:
    """Draw prompt and continuation lengths and say what a limit would touch.

    Returns:
        printable lines.
    """
    lines: list[str] = []
    for name, values in (("Prompt", lengths.prompts), ("Continuation", lengths.continuations)):
        s = summarise(values)
        lines.append(
            f"{name} tokens: median {s.median:,}, 90% up to {s.percentile_90:,}, 99% up to "
            f"{s.percentile_99:,}, longest {s.largest:,} ({s.total:,} in all)"
        )
        lines += [f"  {line}" for line in draw_bars(histogram(values))]
    if max_tokens is not None:
        touched = over_limit(lengths, max_tokens)
        longest = max(lengths.sequences)
        lines.append(
            f"Longer than {max_tokens:,} tokens: {len(touched):,} of {len(lengths.sequences):,} "
            f"records (longest {longest:,})"
        )
    return lines
