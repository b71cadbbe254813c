"""Token trees and packing: every token once, ancestors before descendants."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.data.trees import TokenTree, pack_row, plan_rows

ids = st.lists(st.integers(0, 9), min_size=1, max_size=5).map(tuple)
trees = st.builds(TokenTree, ids, st.lists(ids, min_size=1, max_size=3).map(tuple))


@given(st.lists(trees, min_size=1, max_size=4))
def test_every_path_of_a_packed_row_is_one_sequence(forest: list[TokenTree]) -> None:
    row = pack_row(forest)
    assert len(row.tokens) == len(row.positions) == sum(tree.num_tokens for tree in forest)
    paths = []
    for place in row.continuations:
        leaf = row.segments[place]
        root = row.segments[leaf.parent]
        assert leaf.parent < place
        assert root.parent == -1
        span = [*range(root.start, root.end), *range(leaf.start, leaf.end)]
        assert [row.positions[i] for i in span] == list(range(len(span)))
        paths.append(tuple(row.tokens[i] for i in span))
    expected = [tree.prompt + c for tree in forest for c in tree.continuations]
    assert paths == expected
    owners = [i for i, tree in enumerate(forest) for _ in tree.continuations]
    assert list(row.trees) == owners
    assert row.num_targets == sum(len(c) for tree in forest for c in tree.continuations)


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
