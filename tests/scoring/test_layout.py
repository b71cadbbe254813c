"""Blocks, masks and labels say the same about who sees whom."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.scoring.layout import TreeLayout, plan_blocks
from accordant.tokens.trees import TokenTree, pack_row

shapes = st.lists(
    st.tuples(st.integers(1, 9), st.lists(st.integers(1, 7), min_size=1, max_size=5)),
    min_size=1,
    max_size=4,
)


def layout_of(shape: list[tuple[int, list[int]]]) -> TreeLayout:
    trees = [TokenTree((1,) * p, tuple((2,) * c for c in cs)) for p, cs in shape]
    return TreeLayout.of(pack_row(trees), torch.device("cpu"), read=())


def visible_by_blocks(layout: TreeLayout, size: int) -> torch.Tensor:
    """The visibility that blocks of at most `size` queries describe."""
    count = layout.positions.shape[0]
    seen = torch.zeros(count, count, dtype=torch.bool)
    for block in plan_blocks(layout.segments, size):
        assert block.end - block.start == sum(block.parts) <= size
        keys = [key for start, end in block.keys for key in range(start, end)]
        assert keys[-(block.end - block.start) :] == list(range(block.start, block.end))
        before = keys[: -(block.end - block.start)]
        at = block.start
        for part in block.parts:
            for query in range(at, at + part):
                assert not seen[query].any()
                seen[query, [*before, *range(at, query + 1)]] = True
            at += part
    return seen


@settings(max_examples=60, deadline=None)
@given(shape=shapes, size=st.integers(1, 20))
def test_blocks_of_any_size_describe_the_dense_mask(
    shape: list[tuple[int, list[int]]], size: int
) -> None:
    layout = layout_of(shape)
    assert torch.equal(visible_by_blocks(layout, size), layout.mask())


@settings(max_examples=30, deadline=None)
@given(shape=shapes)
def test_a_query_sees_its_prompt_and_its_own_past_only(shape: list[tuple[int, list[int]]]) -> None:
    layout = layout_of(shape)
    mask = layout.mask()
    for index, segment in enumerate(layout.segments):
        for query in range(segment.start, segment.end):
            expected = set(range(segment.start, query + 1))
            if segment.parent >= 0:
                parent = layout.segments[segment.parent]
                expected |= set(range(parent.start, parent.end))
            assert set(mask[query].nonzero()[:, 0].tolist()) == expected, index


def test_short_siblings_share_a_block_and_long_ones_do_not() -> None:
    short = plan_blocks(layout_of([(5, [3, 4])]).segments, 8)
    assert [block.parts for block in short] == [(5,), (3, 4)]
    long = plan_blocks(layout_of([(5, [6, 4])]).segments, 8)
    assert [block.parts for block in long] == [(5,), (6,), (4,)]


def test_a_window_hides_what_lies_further_back() -> None:
    layout = layout_of([(6, [4, 3])])
    distance = layout.positions[:, None] - layout.positions[None, :]
    assert torch.equal(layout.mask(3), layout.mask() & (distance < 3))
