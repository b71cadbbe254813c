"""Token lengths as plain numbers and as a small picture of text.

Knows token counts. Knows nothing of text, tokenizers or models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

BLOCKS = " ▏▎▍▌▋▊▉█"
WIDTH = 40
"""Characters of the longest bar."""


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


def percentile(values: Sequence[int], percent: int) -> int:
    """Return the nearest-rank percentile: the least value that `percent` of `values` are up to."""
    # In whole numbers: 0.99 n in floats may step over a rank.
    return sorted(values)[max(-(-percent * len(values) // 100) - 1, 0)]


def bin_lengths(values: Sequence[int], bins: int = 12) -> list[tuple[int, int, int]]:
    """Count whole numbers in at most `bins` bins of equal, whole width.

    Returns:
        (low, high, count): `count` of the values are in [low, high); none is left out between.
    """
    lowest, highest = min(values), max(values)
    width = max(-(-(highest - lowest + 1) // bins), 1)
    counts = Counter((value - lowest) // width for value in values)
    lows = range(lowest, highest + 1, width)
    return [(low, low + width, counts[place]) for place, low in enumerate(lows)]


def draw_bars(bins: Sequence[tuple[int, int, int]]) -> list[str]:
    """Draw counts of bins as lines of text, one each."""
    top = max(count for *_, count in bins)
    labels = [f"{low:,}" if high == low + 1 else f"{low:,}-{high - 1:,}" for low, high, _ in bins]
    margin = max(map(len, labels))
    lines = []
    for label, (*_, count) in zip(labels, bins, strict=True):
        # A bin that is not empty is never drawn as empty: outliers are what one looks for.
        eighths = max(round(count / top * WIDTH * 8), 1) if count else 0
        bar = "█" * (eighths // 8) + BLOCKS[eighths % 8].strip()
        lines.append(f"{label:>{margin}} {bar} {count:,}")
    return lines


def describe_lengths(lengths: Lengths, max_tokens: int | None = None) -> list[str]:
    """Draw prompt and continuation lengths and say what a limit would touch.

    Returns:
        printable lines.
    """
    lines: list[str] = []
    for name, values in (("Prompt", lengths.prompts), ("Continuation", lengths.continuations)):
        middle, most, nearly_all = (percentile(values, percent) for percent in (50, 90, 99))
        lines.append(
            f"{name} tokens: median {middle:,}, 90% up to {most:,}, 99% up to {nearly_all:,}, "
            f"longest {max(values):,} ({sum(values):,} in all)"
        )
        lines += [f"  {line}" for line in draw_bars(bin_lengths(values))]
    if max_tokens is not None:
        longer = sum(tokens > max_tokens for tokens in lengths.sequences)
        lines.append(
            f"Longer than {max_tokens:,} tokens: {longer:,} of {len(lengths.sequences):,} "
            f"records (longest {max(lengths.sequences):,})"
        )
    return lines
