"""Token trees and packing: every token once, ancestors before descendants."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.tokens.trees import SHARED, PackedRow, TokenTree, pack_row, plan_rows

ids = st.lists(st.integers(0, 9), min_size=1, max_size=5).map(tuple)
# Beginnings long enough to be shared, and shorter ones; some are the beginning of another.
beginnings = st.sampled_from([(), (1,) * 7, (1,) * SHARED, (1,) * 40, (1,) * 20 + (2,) * 20])
prompts = st.builds(lambda start, rest: start + rest, beginnings, ids)
trees = st.builds(
    TokenTree, prompts | beginnings.filter(bool), st.lists(ids, min_size=1, max_size=3).map(tuple)
)


def path(row: PackedRow, leaf: int) -> list[int]:
    """Indices of the tokens a segment and its ancestors hold, in order."""
    span: list[int] = []
    while leaf >= 0:
        segment = row.segments[leaf]
        assert segment.parent < leaf
        span = [*range(segment.start, segment.end), *span]
        leaf = segment.parent
    return span


@given(st.lists(trees, min_size=1, max_size=6))
def test_every_path_of_a_packed_row_is_one_sequence(forest: list[TokenTree]) -> None:
    row = pack_row(forest)
    assert len(row.tokens) == len(row.positions) <= sum(tree.num_tokens for tree in forest)
    assert [i for s in row.segments for i in range(s.start, s.end)] == list(range(len(row.tokens)))
    assert all(segment.length for segment in row.segments)
    paths = []
    for place in row.continuations:
        span = path(row, place)
        assert [row.positions[i] for i in span] == list(range(len(span)))
        paths.append(tuple(row.tokens[i] for i in span))
        leaf = row.segments[place]
        assert list(row.sources(place)) == span[-leaf.length - 1 : -1]
    expected = [tree.prompt + c for tree in forest for c in tree.continuations]
    assert paths == expected
    owners = [i for i, tree in enumerate(forest) for _ in tree.continuations]
    assert list(row.trees) == owners
    assert row.num_targets == sum(len(c) for tree in forest for c in tree.continuations)


def test_what_neighbours_share_is_laid_out_once() -> None:
    system, asked = tuple(range(100, 130)), tuple(range(200, 240))
    forest = [
        TokenTree((*system, 1), ((5,), (6,))),
        TokenTree((*system, *asked, 2), ((5,),)),
        TokenTree((*system, *asked, 3), ((7,),)),
        TokenTree((*system, *asked), ((8, 9),)),
        TokenTree((*system[:10], 4), ((5,),)),
    ]
    row = pack_row(forest)
    assert row.tokens.count(100) == 2  # ten tokens are too few to share
    assert row.tokens.count(200) == 1
    own = 3 + 2 + 2 + 2 + 12  # what nobody shares, continuations included
    assert len(row.tokens) == len(system) + len(asked) + own


@given(st.lists(trees, min_size=1, max_size=6))
def test_sharing_never_makes_a_row_longer_and_short_beginnings_are_left(
    forest: list[TokenTree],
) -> None:
    row = pack_row(forest)
    children = Counter(segment.parent for segment in row.segments)
    inner = {segment.parent for segment in row.segments} - {-1}
    for place in inner - {row.segments[c].parent for c in row.continuations}:
        # A part of a prompt that ends where no answer begins is there because it is shared.
        assert children[place] > 1
        assert row.segments[place].length >= SHARED


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(1, 20))
def test_rows_keep_order_and_budget(sizes: list[int], budget: int) -> None:
    rows = plan_rows(sizes, budget)
    assert [i for row in rows for i in row] == list(range(len(sizes)))
    for row in rows:
        assert len(row) == 1 or sum(sizes[i] for i in row) <= budget
    for row, following in itertools.pairwise(rows):
        assert sum(sizes[i] for i in row) + sizes[following[0]] > budget


def test_empty_prompts_and_continuations_are_refused() -> None:
    for prompt, continuations in (((), ((1,),)), ((1,), ()), ((1,), ((1,), ()))):
        with pytest.raises(ValueError):
            TokenTree(prompt, continuations)
