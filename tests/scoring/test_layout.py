"""Blocks, FlexAttention's lists and the dense mask say the same about who sees whom."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.scoring.layout import (
    TreeLayout,
    block_plans,
    block_visibility,
    flex_block_mask,
    plan_blocks,
)
from accordant.tokens.trees import Segment, TokenTree, fill_row, pack_row, subtree_ends

# A tree is the tokens of its root and the trees below it.
Tree = tuple[int, list["Tree"]]
leaves = st.tuples(st.integers(1, 9), st.just([]))
trees = st.recursive(
    leaves, lambda below: st.tuples(st.integers(1, 9), st.lists(below)), max_leaves=9
)
forests = st.lists(trees, min_size=1, max_size=4)
windows = st.none() | st.integers(1, 12)


def segments_of(forest: list[Tree]) -> list[Segment]:
    segments: list[Segment] = []

    def lay_out(tree: Tree, parent: int, position: int) -> None:
        length, below = tree
        index, start = len(segments), segments[-1].end if segments else 0
        segments.append(Segment(start, length, parent, position))
        for child in below:
            lay_out(child, index, position + length)

    for tree in forest:
        lay_out(tree, -1, 0)
    return segments


def layout_of(segments: list[Segment]) -> TreeLayout:
    positions = [s.position + i for s in segments for i in range(s.length)]
    return TreeLayout(
        torch.tensor(subtree_ends(segments)), torch.tensor(positions), torch.tensor([])
    )


def ancestors_or_self(segments: list[Segment], window: int | None) -> torch.Tensor:
    """The visibility of a tree by its definition, walking from every token to its root."""
    seen = torch.zeros(segments[-1].end, segments[-1].end, dtype=torch.bool)
    for segment in segments:
        for query in range(segment.start, segment.end):
            seen[query, segment.start : query + 1] = True
            parent = segment.parent
            while parent >= 0:
                seen[query, segments[parent].start : segments[parent].end] = True
                parent = segments[parent].parent
    if window is not None:
        at = torch.tensor([s.position + i for s in segments for i in range(s.length)])
        seen &= at[:, None] - at < window
    return seen


def visible_by_blocks(layout: TreeLayout, window: int | None) -> torch.Tensor:
    seen = torch.zeros(len(layout.end), len(layout.end), dtype=torch.bool)
    for plan in block_plans(layout.end, layout.positions, window, torch.float32):
        keys = [key for start, end in plan.keys for key in range(start, end)]
        assert keys == sorted(set(keys))
        assert keys[plan.start - plan.end :] == list(range(plan.start, plan.end))
        seen[plan.start : plan.end, keys] = True
        masked = keys[len(keys) - plan.unseen.shape[1] :]
        seen[plan.start : plan.end, masked] = plan.unseen == 0
    return seen


@settings(max_examples=100, deadline=None)
@given(forest=forests, window=windows)
def test_all_forms_agree_with_ancestors_or_self(forest: list[Tree], window: int | None) -> None:
    segments = segments_of(forest)
    layout, expected = layout_of(segments), ancestors_or_self(segments, window)
    assert torch.equal(layout.mask(window), expected)
    assert torch.equal(visible_by_blocks(layout, window), expected)
    mask = flex_block_mask(layout.end, layout.positions, window).mask_mod
    tokens = torch.arange(len(layout.end))
    assert torch.equal(mask(None, None, tokens[:, None], tokens), expected)


@settings(max_examples=100, deadline=None)
@given(forest=forests, size=st.integers(1, 20))
def test_what_one_query_of_a_block_sees_before_it_all_see(forest: list[Tree], size: int) -> None:
    segments = segments_of(forest)
    expected = ancestors_or_self(segments, None)
    blocks = plan_blocks(subtree_ends(segments), size)
    assert [b.end for b in blocks] == [*(b.start for b in blocks[1:]), len(expected)]
    for block in blocks:
        assert 0 < block.end - block.start <= size
        before = torch.zeros(block.start, dtype=torch.bool)
        for start, end in block.before:
            before[start:end] = True
        assert (expected[block.start : block.end, : block.start] == before).all()


@settings(max_examples=100, deadline=None)
@given(forest=forests, window=windows, size=st.integers(1, 8))
def test_lists_of_key_blocks_leave_no_seen_key_out(
    forest: list[Tree], window: int | None, size: int
) -> None:
    segments = segments_of(forest)
    layout, expected = layout_of(segments), ancestors_or_self(segments, window)
    some, full = block_visibility(layout.end, layout.positions, window, size)
    for q in range(len(some)):
        for k in range(len(some)):
            pairs = expected[q * size : (q + 1) * size, k * size : (k + 1) * size]
            assert bool(some[q, k]) or not pairs.any()
            assert not bool(full[q, k]) or bool(some[q, k] and pairs.all())


def test_key_blocks_of_a_long_prompt_are_full_and_those_of_siblings_empty() -> None:
    layout = layout_of(segments_of([(256, [(128, []), (128, [])])]))
    some, full = block_visibility(layout.end, layout.positions, None)
    assert some.tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]
    assert (some & ~full).tolist() == torch.eye(4, dtype=torch.bool).tolist()


def test_short_siblings_share_a_block_and_long_ones_do_not() -> None:
    short = plan_blocks(subtree_ends(segments_of([(8, [(3, []), (4, [])])])), 8)
    assert [(block.start, block.end) for block in short] == [(0, 8), (8, 15)]
    long = plan_blocks(subtree_ends(segments_of([(8, [(9, []), (4, [])])])), 8)
    assert [(block.start, block.end) for block in long] == [(0, 8), (8, 16), (16, 17), (17, 21)]


def test_what_fills_a_row_up_sees_itself_alone() -> None:
    row = pack_row([TokenTree((1,) * 6, ((2,) * 4, (3,) * 3))])
    filled = fill_row(row, 40)
    layout = TreeLayout(torch.tensor(filled.ends), torch.tensor(filled.positions), torch.tensor([]))
    mask = layout.mask()
    assert len(filled.tokens) == 40
    assert torch.equal(mask[:13, :13], ancestors_or_self(list(row.segments), None))
    assert torch.equal(mask[13:], torch.eye(40, dtype=torch.bool)[13:])
    assert not mask[:13, 13:].any()
