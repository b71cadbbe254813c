from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accordant.runs.align.collect import summarise_lengths


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=60))
def test_every_length_is_in_one_bin_and_bins_are_equally_wide(lengths):
    summary = summarise_lengths("prompt", lengths)
    edges = np.array(summary.histogram.edges)
    assert sum(summary.histogram.counts) == summary.count == len(lengths)
    assert summary.total == sum(lengths)
    assert len(summary.histogram.counts) <= 40
    assert len(set(np.diff(edges))) == 1
    assert np.diff(edges)[0] == int(np.diff(edges)[0])
    assert edges[0] < min(lengths) <= max(lengths) < edges[-1]


def test_nothing_has_no_lengths():
    assert summarise_lengths("prompt", []) is None
