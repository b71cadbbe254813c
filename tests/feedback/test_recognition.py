"""Recognition: one type or an error that says how to choose."""

from __future__ import annotations

from typing import Any

import pytest

from accordant.base.errors import UserError
from accordant.feedback.kinds import KINDS, list_layouts
from accordant.feedback.recognition import recognise, require_type

TALK = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]


def row_of(columns: Any) -> dict[str, Any]:
    return {column: TALK if column == "messages" else "x" for column in columns}


@pytest.mark.parametrize("layout", list_layouts(), ids=str)
def test_every_layout_is_recognised_from_its_own_columns(layout: Any) -> None:
    kind, columns = layout
    assert recognise(sorted(columns), row_of(columns)) == kind
    assert recognise(["id", *columns], row_of(columns)) == kind
    require_type(kind, columns, row_of(columns))


def test_every_record_type_has_a_layout() -> None:
    assert {kind for kind, _ in list_layouts()} == set(KINDS)


@pytest.mark.parametrize(
    ("columns", "types"),
    [
        ("prompt completion chosen rejected", "comparison demonstration"),
        ("prompt completion label judgment", "binary judgment"),
        ("prompt completion label helpfulness", "binary rating"),
        ("prompt completions labels rewards", "ranking steps"),
    ],
)
def test_ambiguity_lists_the_candidates_and_how_to_choose(columns: str, types: str) -> None:
    names = columns.split()
    with pytest.raises(UserError, match="ambiguous between") as error:
        recognise(names, row_of(names))
    for record_type in types.split():
        assert record_type in error.value.message
        assert record_type in error.value.mend
        require_type(record_type, names, row_of(names))
    assert "--record-type" in error.value.mend
    assert "--columns" in error.value.mend


def test_several_unknown_numbers_beside_an_answer_are_ambiguous_and_one_is_not() -> None:
    row = {"prompt": "p", "completion": "c", "wit": 1, "depth": 2.5}
    with pytest.raises(UserError, match="wit, depth hold numbers"):
        recognise(list(row), row)
    row = {"prompt": "p", "completion": "c", "row_id": 1, "depth": 2.5}
    assert recognise(list(row), row) == "demonstration"


def test_two_columns_for_one_thing_are_ambiguous() -> None:
    with pytest.raises(UserError, match="response, answer could each be the completion"):
        recognise(["prompt", "response", "answer"], {})


def test_a_conversation_that_ends_with_the_user_is_the_prompt_of_a_pair() -> None:
    row = {"messages": TALK[:1], "chosen": TALK[1], "rejected": TALK[1]}
    assert recognise(list(row), row) == "comparison"


def test_columns_that_fit_nothing_say_what_is_missing() -> None:
    with pytest.raises(UserError, match="for a comparison 'rejected' is missing"):
        recognise(["prompt", "chosen"], {})
    with pytest.raises(UserError, match="no record type fits the columns text"):
        recognise(["text"], {})


def test_a_type_asked_for_must_exist_and_have_its_columns() -> None:
    with pytest.raises(UserError, match="Did you mean 'comparison'"):
        require_type("comparisn", ["chosen"], {})
    with pytest.raises(UserError, match="a ranking needs the columns prompt, completions"):
        require_type("ranking", ["prompt", "chosen"], {})
