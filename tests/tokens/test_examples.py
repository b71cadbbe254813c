"""What is attached to an example, and what stays the record's own."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from accordant.tokens.examples import Example, with_answers, with_numbers
from accordant.tokens.trees import TokenTree

run = st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple)
runs = st.lists(run, min_size=1, max_size=3)
groups = st.lists(st.tuples(st.sampled_from("abc"), runs), max_size=6)


@given(runs, groups)
def test_groups_of_answers_are_kept_apart_and_replaced_by_name(own, added):
    first = TokenTree((1,), ((8,),))
    bare = Example("joint_pair", (first, TokenTree((2,), tuple(own))), 0)
    example, expected = bare, {}
    for name, answers in added:
        example = with_answers(example, name, answers)
        expected.pop(name, None)
        expected[name] = answers
    assert example.own_trees == bare.trees
    assert example.trees[0] == first
    assert list(example.extra_answers.items()) == [(n, len(a)) for n, a in expected.items()]
    behind = example.trees[1].continuations[len(own) :]
    assert behind == tuple(answer for answers in expected.values() for answer in answers)


def test_numbers_are_replaced_by_name_and_leave_the_rest():
    example = Example("binary", (TokenTree((1,), ((2,),)),), 4, numbers={"votes": (2, 1)})
    weighed = with_numbers(with_numbers(example, "weight", [0.5]), "weight", [0.7])
    assert weighed.numbers == {"votes": (2, 1), "weight": (0.7,)}
    assert weighed.has("votes")
    assert not weighed.has("mismatched")
    assert example.numbers == {"votes": (2, 1)}


def test_an_example_keeps_its_name_whatever_becomes_of_it():
    example = Example("binary", (TokenTree((1,), ((2,),)),), 4)
    assert example.id == "example 4"
    assert replace(with_answers(example, "a", [(3,)]), index=9).id == "example 4"
    assert replace(example, id="thumbs.jsonl, row 5") == example
