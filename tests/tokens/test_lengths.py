"""Statistics of lengths: histograms count everything and pictures hide nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.tokens.lengths import (
    Lengths,
    describe_lengths,
    draw_bars,
    histogram,
    over_limit,
    summarise,
)

lengths = st.lists(st.integers(0, 5000), min_size=1, max_size=60)


@given(lengths, st.integers(1, 20))
def test_every_value_is_counted_in_the_bin_that_holds_it(values: list[int], bins: int) -> None:
    picture = histogram(values, bins)
    assert len(picture.counts) <= bins
    assert len({b - a for a, b in zip(picture.edges, picture.edges[1:], strict=False)}) == 1
    for low, high, count in zip(picture.edges, picture.edges[1:], picture.counts, strict=False):
        assert count == sum(low <= value < high for value in values)
    assert sum(picture.counts) == len(values)


@given(lengths)
def test_no_bin_with_values_is_drawn_empty(values: list[int]) -> None:
    picture = histogram(values)
    for line, count in zip(draw_bars(picture), picture.counts, strict=True):
        assert line.endswith(f" {count:,}")
        drawn = any(block in line for block in "▏▎▍▌▋▊▉█")
        assert drawn == (count > 0)


@given(lengths)
def test_percentiles_are_values_with_that_share_below_or_at_them(values: list[int]) -> None:
    summary = summarise(values)
    assert (summary.count, summary.total) == (len(values), sum(values))
    assert (summary.smallest, summary.largest) == (min(values), max(values))
    for percent, value in ((50, summary.median), (90, summary.percentile_90)):
        assert value in values
        assert 100 * sum(v <= value for v in values) >= percent * len(values)
        assert 100 * sum(v < value for v in values) < percent * len(values)


def test_the_description_says_what_a_limit_would_touch() -> None:
    measured = Lengths(prompts=(10, 20), continuations=(5, 6, 7, 8), sequences=(16, 28))
    assert over_limit(measured, 16) == (1,)
    lines = describe_lengths(measured, max_tokens=16)
    assert lines[0] == (
        "Prompt tokens: median 10, 90% up to 20, 99% up to 20, longest 20 (30 in all)"
    )
    assert lines[-1] == "Longer than 16 tokens: 1 of 2 records (longest 28)"
    assert len(describe_lengths(measured)) == len(lines) - 1


def test_nothing_to_summarise_is_refused() -> None:
    with pytest.raises(ValueError):
        summarise([])
    with pytest.raises(ValueError):
        histogram([])
