"""Summaries of token counts for the data section of a report.

Knows whole numbers. Knows nothing of texts or tokenizers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accordant.runs.align.results import LengthHistogram, LengthSummary
from accordant.statistics.estimates import to_floats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

_MOST_BINS = 40


def summarise_lengths(name: str, lengths: ArrayLike | Tensor) -> LengthSummary | None:
    """Quantiles and a histogram of `lengths` in tokens, `[n]`; None without any.

    Bins hold equally many whole numbers, so that none looks fuller only because it is wider.
    """
    tokens = to_floats(lengths, "lengths")
    if len(tokens) == 0:
        return None
    shortest, longest = int(tokens.min()), int(tokens.max())
    width = -(-(longest - shortest + 1) // _MOST_BINS)
    bins = -(-(longest - shortest + 1) // width)
    edges = shortest - 0.5 + width * np.arange(bins + 1)
    counts, _ = np.histogram(tokens, edges)
    return LengthSummary(
        name=name,
        count=len(tokens),
        total=int(tokens.sum()),
        shortest=shortest,
        median=float(np.median(tokens)),
        percentile_95=float(np.quantile(tokens, 0.95)),
        longest=longest,
        histogram=LengthHistogram(tuple(edges.tolist()), tuple(counts.tolist())),
    )
