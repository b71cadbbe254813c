"""Splitting: no prompt on both sides, nothing lost, the same again for the same seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.feedback.loading import Feedback
from accordant.feedback.records import Demonstration, JointPair, Message, Origin, Record
from accordant.feedback.splitting import split_feedback


def feedback(records: list[Record]) -> Feedback:
    return Feedback(tuple(records), "demonstration", "a.jsonl")


def demonstrations(prompts: list[str]) -> list[Record]:
    return [
        Demonstration(prompt, f"answer {i}", Origin("a.jsonl", i + 1))
        for i, prompt in enumerate(prompts)
    ]


many = st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=40).filter(
    lambda prompts: len(set(prompts)) > 1
)


@given(prompts=many, seed=st.integers(0, 5), fraction=st.floats(0.01, 0.5))
def test_both_parts_are_the_whole_and_share_no_prompt(
    prompts: list[str], seed: int, fraction: float
) -> None:
    whole = feedback(demonstrations(prompts))
    train, held = split_feedback(whole, fraction, seed)
    assert sorted(map(repr, train.records + held.records)) == sorted(map(repr, whole.records))
    assert not {r.prompt for r in train.records} & {r.prompt for r in held.records}  # type: ignore[union-attr]
    assert train.records
    assert held.records
    assert (train, held) == split_feedback(whole, fraction, seed)
    rows = [record.origin.row for record in train.records if record.origin]
    assert rows == sorted(rows)


@given(count=st.integers(1, 49), seed=st.integers(0, 3))
def test_a_count_of_different_prompts_is_met_exactly(count: int, seed: int) -> None:
    whole = feedback(demonstrations([f"prompt {i}" for i in range(50)]))
    train, held = split_feedback(whole, count, seed)
    assert (len(train.records), len(held.records)) == (50 - count, count)


def test_another_seed_holds_out_other_prompts() -> None:
    whole = feedback(demonstrations([f"prompt {i}" for i in range(50)]))
    assert split_feedback(whole, 0.2, 0) != split_feedback(whole, 0.2, 1)


def test_rows_added_later_do_not_reshuffle_the_rest() -> None:
    prompts = [f"prompt {i}" for i in range(100)]
    _, before = split_feedback(feedback(demonstrations(prompts)), 0.2)
    _, after = split_feedback(feedback(demonstrations([*prompts, "new"])), 0.2)
    assert len(set(before.records) - set(after.records)) <= 1


def test_turns_of_one_conversation_stay_together() -> None:
    turn = (Message("user", "a"),)
    later = (*turn, Message("assistant", "b"), Message("user", "c"))
    for row in range(20):
        records: list[Record] = [
            Demonstration(turn if part == 0 else later, f"x{row}", Origin("a.jsonl", row))
            for part in (0, 1)
        ]
        others = demonstrations([f"other {i}" for i in range(20)])
        _, held = split_feedback(feedback([*records, *others]), 10, seed=row)
        assert len(set(records) & set(held.records)) in (0, 2)


def test_joint_pairs_that_share_a_prompt_on_either_side_stay_together() -> None:
    chain: list[Record] = [JointPair(f"p{i}", "a", f"p{i + 1}", "b") for i in range(5)]
    alone: list[Record] = [JointPair("q", "a", "r", "b")]
    train, held = split_feedback(feedback(chain + alone), 1)
    assert set(held.records) == set(alone)
    assert set(train.records) == set(chain)


def test_impossible_sizes_are_refused() -> None:
    whole = feedback(demonstrations(["a", "b", "c"]))
    for size in (0, 0.0, -1, 1.5):
        with pytest.raises(UserError, match="cannot hold out"):
            split_feedback(whole, size)
    with pytest.raises(UserError, match="none would be left"):
        split_feedback(whole, 3)
    with pytest.raises(UserError, match="share one prompt"):
        split_feedback(feedback(demonstrations(["a", "a"])), 1)
