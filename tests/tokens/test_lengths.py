"""Statistics of lengths: histograms count everything and pictures hide nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from accordant.tokens.lengths import (
    Lengths,
    bin_lengths,
    describe_lengths,
    draw_bars,
    percentile,
)

lengths = st.lists(st.integers(0, 5000), min_size=1, max_size=60)


@given(lengths, st.integers(1, 20))
def test_every_value_is_counted_in_the_bin_that_holds_it(values: list[int], most: int) -> None:
    bins = bin_lengths(values, most)
    assert len(bins) <= most
    assert len({high - low for low, high, _ in bins}) == 1
    assert [low for low, *_ in bins[1:]] == [high for _, high, _ in bins[:-1]]
    for low, high, count in bins:
        assert count == sum(low <= value < high for value in values)
    assert sum(count for *_, count in bins) == len(values)


@given(lengths)
def test_no_bin_with_values_is_drawn_empty(values: list[int]) -> None:
    bins = bin_lengths(values)
    for line, (*_, count) in zip(draw_bars(bins), bins, strict=True):
        assert line.endswith(f" {count:,}")
        drawn = any(block in line for block in "▏▎▍▌▋▊▉█")
        assert drawn == (count > 0)


@given(lengths, st.sampled_from([50, 90, 99]))
def test_percentiles_are_values_with_that_share_below_or_at_them(
    values: list[int], percent: int
) -> None:
    value = percentile(values, percent)
    assert value in values
    assert 100 * sum(v <= value for v in values) >= percent * len(values)
    assert 100 * sum(v < value for v in values) < percent * len(values)


def test_the_description_says_what_a_limit_would_touch() -> None:
    measured = Lengths(prompts=(10, 20), continuations=(5, 6, 7, 8), sequences=(16, 28))
    lines = describe_lengths(measured, max_tokens=16)
    assert lines[0] == (
        "Prompt tokens: median 10, 90% up to 20, 99% up to 20, longest 20 (30 in all)"
    )
    assert lines[-1] == "Longer than 16 tokens: 1 of 2 records (longest 28)"
    assert len(describe_lengths(measured)) == len(lines) - 1
