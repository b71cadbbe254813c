"""How a step's examples are divided: nothing lost, nothing twice, whatever shares the work."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.training.batches import balance, divide, make_rows, pad_rows
from tests.training.runs import make_examples

SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(1, 7))
def test_balance_places_every_item_once_and_evenly(sizes: list[int], parts: int) -> None:
    shares = balance(sizes, parts)
    assert len(shares) == parts
    assert sorted(i for share in shares for i in share) == list(range(len(sizes)))
    totals = [sum(sizes[i] for i in share) for share in shares]
    # Each part but the fullest would overtake it with one more item: the bound of the greedy rule.
    assert max(totals) - min(totals) <= max(sizes)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 3), st.integers(1, 3))
def test_every_example_of_a_step_is_in_one_share_of_one_process(
    count: int, parts: int, world: int
) -> None:
    examples = make_examples("sft", count)
    shares = [divide(examples, parts, rank=rank, world=world) for rank in range(world)]
    assert all(len(mine) == parts for mine in shares)
    found = [example.index for mine in shares for part in mine for example in part]
    assert sorted(found) == list(range(count))
    # Within a share the order of the step is kept: rows do not depend on who else works.
    assert all(part == sorted(part, key=lambda e: e.index) for mine in shares for part in mine)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 120))
def test_rows_keep_the_budget_unless_one_example_breaks_it(count: int, budget: int) -> None:
    examples = make_examples("plackett_luce", count)
    rows = make_rows(examples, budget)
    assert [e for row in rows for e in row.examples] == examples
    assert all(row.num_tokens <= budget or len(row.examples) == 1 for row in rows)


def test_padding_adds_rows_that_weigh_nothing() -> None:
    examples = make_examples("sft", 3)
    rows = pad_rows(make_rows(examples, 1), 5, examples[0])
    assert [row.counts for row in rows] == [True, True, True, False, False]
    assert pad_rows(rows, 2, examples[0]) == rows
