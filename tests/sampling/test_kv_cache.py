"""The growing cache layer against the layer it replaces."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.cache_utils import DynamicLayer

from accordant.sampling.kv_cache import ROOM, GrowingLayer

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, ROOM + 5)),
        st.tuples(st.just("select"), st.integers(0, 2)),
        st.tuples(st.just("repeat"), st.integers(1, 2)),
        st.tuples(st.just("crop"), st.integers(0, 3)),
    ),
    max_size=10,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_a_growing_layer_holds_what_a_dynamic_layer_holds(actions):
    torch.manual_seed(0)
    ours, theirs = GrowingLayer(), DynamicLayer()
    rows = 3
    for name, number in [("append", 4), *actions]:
        if name == "append":
            states = torch.randn(rows, 2, number, 4)
            for mine, exact in zip(
                ours.update(states, -states), theirs.update(states, -states), strict=True
            ):
                assert torch.equal(mine, exact)
        elif name == "select":
            chosen = torch.arange(rows)[number % rows :]
            rows = len(chosen)
            for layer in (ours, theirs):
                layer.batch_select_indices(chosen)
        elif name == "repeat":
            rows *= number
            for layer in (ours, theirs):
                layer.batch_repeat_interleave(number)
        elif theirs.get_seq_length() > number:
            for layer in (ours, theirs):
                layer.crop(-number)
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert torch.equal(ours.keys, theirs.keys)
        assert torch.equal(ours.values, theirs.values)


def test_appending_within_the_room_copies_nothing():
    layer = GrowingLayer()
    layer.update(torch.ones(1, 1, 3, 2), torch.ones(1, 1, 3, 2))
    place = layer.keys.data_ptr()
    for _ in range(ROOM - 4):
        layer.update(torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2))
    assert layer.keys.data_ptr() == place
