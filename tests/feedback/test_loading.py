"""Loading: what every layout becomes, and what is said of rows that give no record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accordant.base.errors import UserError
from accordant.feedback.loading import Feedback, load_feedback
from accordant.feedback.records import (
    Binary,
    Comparison,
    Demonstration,
    JointPair,
    Judgment,
    Message,
    Ranking,
    Rating,
    Steps,
)
from tests.feedback.rows import write_rows

U = {"role": "user", "content": "hi"}
A = {"role": "assistant", "content": "hello"}
B = {"role": "assistant", "content": "go away"}
USER = (Message("user", "hi"),)
HELLO = (Message("assistant", "hello"),)
AWAY = (Message("assistant", "go away"),)


def load(tmp_path: Path, *rows: Any, **options: Any) -> Feedback:
    return load_feedback(str(write_rows(tmp_path / "rows.jsonl", list(rows))), **options)


LAYOUTS = [
    ({"prompt": "p", "completion": "c"}, Demonstration("p", "c")),
    ({"prompt": "", "completion": "c"}, Demonstration("", "c")),
    ({"prompt": [U], "completion": [A]}, Demonstration(USER, HELLO)),
    ({"prompt": [U], "completion": A}, Demonstration(USER, HELLO)),
    ({"prompt": "p", "response": "c"}, Demonstration("p", "c")),
    ({"question": "p", "answer": "c"}, Demonstration("p", "c")),
    ({"messages": [U, A]}, Demonstration(USER, HELLO)),
    (
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
        Demonstration(USER, HELLO),
    ),
    ({"instruction": "p", "output": "c"}, Demonstration("p", "c")),
    ({"instruction": "p", "input": "i", "output": "c"}, Demonstration("p\ni", "c")),
    ({"instruction": "p", "input": "", "output": "c"}, Demonstration("p", "c")),
    (
        {"instruction": "p", "output": "c", "system": "s", "history": [["hi", "hello"]]},
        Demonstration(
            (Message("system", "s"), *USER, *HELLO, Message("user", "p")),
            (Message("assistant", "c"),),
        ),
    ),
    ({"prompt": "p", "completion": "c", "label": True}, Binary("p", "c", True)),
    ({"prompt": "p", "completion": "c", "label": 0}, Binary("p", "c", False)),
    ({"messages": [U, A], "label": False}, Binary(USER, HELLO, False)),
    ({"prompt": "p", "completion": "c", "label": -1}, Binary("p", "c", False)),
    ({"prompt": "p", "completion": "c", "label": "True"}, Binary("p", "c", True)),
    ({"prompt": "p", "completion": "c", "label": "bad"}, Binary("p", "c", False)),
    ({"instruction": "p", "output": "c", "kto_tag": True}, Binary("p", "c", True)),
    ({"prompt": "p", "chosen": "a", "rejected": "b"}, Comparison("p", "a", "b")),
    ({"prompt": [U], "chosen": [A], "rejected": [B]}, Comparison(USER, HELLO, AWAY)),
    ({"chosen": [U, A], "rejected": [U, B]}, Comparison(USER, HELLO, AWAY)),
    ({"prompt": [U], "chosen": [U, A], "rejected": [U, B]}, Comparison(USER, HELLO, AWAY)),
    ({"prompt": "hi", "chosen": [U, A], "rejected": [U, B]}, Comparison(USER, HELLO, AWAY)),
    (
        {
            "conversations": [{"from": "human", "value": "hi"}],
            "chosen": {"from": "gpt", "value": "hello"},
            "rejected": {"from": "gpt", "value": "go away"},
        },
        Comparison(USER, HELLO, AWAY),
    ),
    (
        {"system": "s", "question": "hi", "chosen": "hello", "rejected": "go away"},
        Comparison((Message("system", "s"), *USER), HELLO, AWAY),
    ),
    (
        {
            "chosen": "\n\nHuman: hi\n\nAssistant: hello",
            "rejected": "\n\nHuman: hi\n\nAssistant: go away",
        },
        Comparison(USER, HELLO, AWAY),
    ),
    (
        {"prompt": "\n\nHuman: hi\n\nAssistant:", "chosen": " hello", "rejected": " go away"},
        Comparison(USER, HELLO, AWAY),
    ),
    (
        {"chosen": "Q: sky?\nA: blue", "rejected": "Q: sky?\nA: black"},
        Comparison("Q: sky?\n", "A: blue", "A: black"),
    ),
    (
        {"chosen": "Is it so? Yes it is", "rejected": "Is it so? Yes it seems"},
        Comparison("Is it so?", " Yes it is", " Yes it seems"),
    ),
    (
        {"chosen": "the sky is blue", "rejected": "the sky is black"},
        Comparison("the sky is", " blue", " black"),
    ),
    (
        {"chosen": "Yes. It is", "rejected": "Yes. It is so"},
        Comparison("Yes.", " It is", " It is so"),
    ),
    (
        {"chosen_prompt": "p", "chosen": "a", "rejected_prompt": "q", "rejected": "a"},
        JointPair("p", "a", "q", "a"),
    ),
    ({"prompt": "p", "completions": ["a", "b", "c"]}, Ranking("p", ("a", "b", "c"))),
    (
        {"prompt": "p", "completions": ["a", "b", "c"], "rewards": [1, 3, 1.0]},
        Ranking("p", ("b", "a", "c"), (3.0, 1.0, 1.0)),
    ),
    (
        {"prompt": "p", "completions": ["a", "b"], "ranks": [2, 1]},
        Ranking("p", ("b", "a"), (-1.0, -2.0)),
    ),
    (
        {"prompt": "p", "completion": "c", "ratings": {"tone": 3, "wit": None}},
        Rating("p", "c", {"tone": 3.0}),
    ),
    (
        {"prompt": "p", "response": "c", "helpfulness": 3, "verbosity": 1.5},
        Rating("p", "c", {"helpfulness": 3.0, "verbosity": 1.5}),
    ),
    ({"prompt": "p", "completion": "c", "score": 4}, Rating("p", "c", {"score": 4.0})),
    ({"prompt": "p", "completion": "c", "judgment": "short"}, Judgment("p", "c", "short")),
    (
        {"prompt": "p", "completion": "c", "critique": "short", "is_good": False},
        Judgment("p", "c", "short", False),
    ),
    (
        {"prompt": "p", "completions": ["1+1=2", "2+2=5"], "labels": [True, False]},
        Steps("p", ("1+1=2", "2+2=5"), (True, False)),
    ),
]


@pytest.mark.parametrize(("row", "record"), LAYOUTS, ids=lambda value: type(value).__name__)
def test_every_layout_becomes_its_record(tmp_path: Path, row: Any, record: Any) -> None:
    feedback = load(tmp_path, row)
    assert feedback.records == (record,)
    assert type(feedback.records[0]) is type(record)
    assert str(feedback.records[0].origin) == f"{tmp_path}/rows.jsonl, row 1"
    assert (feedback.rows, feedback.skipped, feedback.ignored) == (1, (), ())


def test_every_assistant_turn_of_a_conversation_is_a_demonstration(tmp_path: Path) -> None:
    feedback = load(tmp_path, {"messages": [U, A, U, B]})
    assert feedback.records == (
        Demonstration(USER, HELLO),
        Demonstration((*USER, *HELLO, *USER), AWAY),
    )


PAIR = {"prompt": "p", "chosen": "a", "rejected": "b"}
CHAT = {"prompt": [U], "chosen": [A], "rejected": [B]}
NAN = float("nan")
RATED = {"prompt": "p", "completion": "c", "helpfulness": 1, "verbosity": 2}
BAD_ROWS = [
    (PAIR, {**PAIR, "chosen": "  \n"}, "chosen", "empty completion"),
    (PAIR, {**PAIR, "rejected": ""}, "rejected", "empty completion"),
    (PAIR, {**PAIR, "rejected": " a"}, "rejected", "chosen and rejected are identical"),
    (CHAT, {**CHAT, "rejected": [A]}, "rejected", "chosen and rejected are identical"),
    (PAIR, {"prompt": "p", "chosen": "a"}, "rejected", "missing value"),
    (PAIR, {**PAIR, "rejected": None}, "rejected", "missing value"),
    (PAIR, {**PAIR, "prompt": None}, "prompt", "missing value"),
    (PAIR, {**PAIR, "chosen": 5}, "chosen", "content is not text"),
    (PAIR, {**PAIR, "chosen": ["a"]}, "chosen", "content is not text"),
    (PAIR, {**PAIR, "chosen": "a\ud800"}, "chosen", "broken Unicode"),
    (PAIR, CHAT, "", "mixed plain and conversational"),
    (CHAT, PAIR, "", "mixed plain and conversational"),
    (CHAT, {**CHAT, "chosen": "a"}, "chosen", "mixed plain and conversational"),
    (PAIR, {**PAIR, "chosen": [A]}, "chosen", "mixed plain and conversational"),
    (CHAT, {**CHAT, "prompt": []}, "prompt", "wrong roles"),
    (CHAT, {**CHAT, "prompt": [A, U]}, "prompt", "wrong roles"),
    (CHAT, {**CHAT, "prompt": [U, A]}, "prompt", "wrong roles"),
    (CHAT, {**CHAT, "prompt": [U, {"role": "system", "content": "s"}]}, "prompt", "wrong roles"),
    (CHAT, {**CHAT, "chosen": [U]}, "chosen", "wrong roles"),
    (CHAT, {**CHAT, "chosen": []}, "chosen", "wrong roles"),
    (CHAT, {**CHAT, "chosen": [A, U, A]}, "chosen", "wrong roles"),
    (CHAT, {**CHAT, "prompt": [{"role": "boss", "content": "x"}]}, "prompt", "unknown role"),
    (CHAT, {**CHAT, "prompt": [{"content": "x"}]}, "prompt", "unknown role"),
    (CHAT, {**CHAT, "prompt": [{**U, "content": None}]}, "prompt", "content is not text"),
    (CHAT, {**CHAT, "prompt": [{**U, "content": ["x"]}]}, "prompt", "content is not text"),
    (CHAT, {**CHAT, "chosen": [{**A, "content": " "}]}, "chosen", "empty completion"),
    (CHAT, {**CHAT, "chosen": [{**A, "tool_calls": [1]}]}, "chosen", "unsupported message field"),
    (CHAT, {**CHAT, "tools": [{"name": "search"}]}, "tools", "unsupported column"),
    ({"messages": [U, A]}, {"messages": [U]}, "messages", "wrong roles"),
    ({"messages": [U, A]}, {"messages": [A]}, "messages", "wrong roles"),
    ({"messages": [U, A]}, {"messages": []}, "messages", "wrong roles"),
    ({"messages": [U, A]}, {"messages": "hi"}, "messages", "not a list"),
    (
        {"chosen": [U, A], "rejected": [U, B]},
        {"chosen": [U, A], "rejected": [{**U, "content": "ho"}, B]},
        "rejected",
        "chosen and rejected have different prompts",
    ),
    (
        {"chosen": "a b", "rejected": "a c"},
        {"chosen": "one", "rejected": "two"},
        "rejected",
        "no common prompt",
    ),
    (
        {"prompt": "p", "completion": "c", "label": True},
        {"prompt": "p", "completion": "c", "label": 2},
        "label",
        "label is not true or false",
    ),
    (
        {"prompt": "p", "completion": "c", "label": True},
        {"prompt": "p", "completion": "c", "label": "yes"},
        "label",
        "label is not true or false",
    ),
    (RATED, {**RATED, "verbosity": NAN}, "verbosity", "not a finite number"),
    (RATED, {**RATED, "verbosity": float("inf")}, "verbosity", "not a finite number"),
    (RATED, {**RATED, "verbosity": 10**400}, "verbosity", "not a finite number"),
    (RATED, {**RATED, "verbosity": None}, "verbosity", "missing value"),
    (RATED, {**RATED, "helpfulness": "4"}, "helpfulness", "not a number"),
    (RATED, {**RATED, "helpfulness": True}, "helpfulness", "not a number"),
    (
        {"prompt": "p", "completions": ["a", "b"]},
        {"prompt": "p", "completions": ["a"]},
        "completions",
        "too few completions",
    ),
    (
        {"prompt": "p", "completions": ["a", "b"]},
        {"prompt": "p", "completions": ["a", "a"]},
        "completions",
        "identical completions",
    ),
    (
        {"prompt": "p", "completions": ["a", "b"], "rewards": [1, 2]},
        {"prompt": "p", "completions": ["a", "b"], "rewards": [1]},
        "rewards",
        "lengths do not match",
    ),
    (
        {"prompt": "p", "completions": ["a", "b"], "rewards": [1, 2]},
        {"prompt": "p", "completions": ["a", "b"], "rewards": [1, NAN]},
        "rewards",
        "not a finite number",
    ),
    (
        {"prompt": "p", "completions": ["a", "b"], "labels": [1, 0]},
        {"prompt": "p", "completions": ["a", "b"], "labels": [1]},
        "labels",
        "lengths do not match",
    ),
    (
        {"prompt": "p", "completion": "c", "judgment": "j"},
        {"prompt": "p", "completion": "c", "judgment": " "},
        "judgment",
        "empty judgment",
    ),
    (PAIR, ["not", "an", "object"], "", "row is not an object"),
]


@pytest.mark.parametrize(("good", "bad", "column", "reason"), BAD_ROWS)
def test_bad_rows_are_named_or_skipped_and_counted(
    tmp_path: Path, good: Any, bad: Any, column: str, reason: str
) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path, good, bad, good, good)
    place = f"{tmp_path}/rows.jsonl, row 2"
    assert error.value.where == (f"{place}, column '{column}'" if column else place)
    assert "--on-bad-row skip" in error.value.mend

    feedback = load(tmp_path, good, bad, good, good, on_bad_row="skip")
    assert len(feedback.records) == 3
    assert [row.reason for row in feedback.skipped] == [reason]
    assert feedback.describe_skipped()[:2] == [
        f"Skipped 1 of 4 rows of {tmp_path}/rows.jsonl:",
        f"  1 x {reason}",
    ]


# The first row decides which of plain and conversational is expected.
ANYWHERE = [
    case for case in BAD_ROWS if (case[2], case[3]) != ("", "mixed plain and conversational")
]


@pytest.mark.parametrize(("good", "bad", "column", "reason"), ANYWHERE)
def test_a_bad_row_is_named_also_where_columns_are_recognised_from(
    tmp_path: Path, good: Any, bad: Any, column: str, reason: str
) -> None:
    feedback = load(tmp_path, bad, good, good, on_bad_row="skip")
    assert [(row.origin.row, row.reason) for row in feedback.skipped] == [(1, reason)]


def test_broken_json_names_the_line_and_skips_only_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps(PAIR)
    path.write_bytes(
        b"\xef\xbb\xbf" + f'{good}\n\n{{"prompt": "p", \n{good}\n'.encode() + b'{"a": "\xff"}\n'
    )
    with pytest.raises(UserError, match="not JSON") as error:
        load_feedback(str(path))
    assert error.value.where == f"{path}, row 3"
    feedback = load_feedback(str(path), on_bad_row="skip")
    assert [record.origin.row for record in feedback.records if record.origin] == [1, 4]
    assert [(row.origin.row, row.reason) for row in feedback.skipped] == [
        (3, "broken JSON"),
        (5, "not UTF-8"),
    ]


def test_the_first_bad_row_says_how_many_follow(tmp_path: Path) -> None:
    empty = {**PAIR, "chosen": ""}
    with pytest.raises(UserError, match="2 more bad rows follow"):
        load(tmp_path, PAIR, empty, empty, empty)


def test_skipped_rows_are_described_by_reason_with_first_examples(tmp_path: Path) -> None:
    empty = {**PAIR, "chosen": ""}
    same = {**PAIR, "chosen": "b"}
    lines = load(tmp_path, PAIR, *[empty] * 4, same, on_bad_row="skip").describe_skipped(2)
    assert lines[0].startswith("Skipped 5 of 6 rows of ")
    assert [line.strip() for line in lines if " x " in line] == [
        "4 x empty completion",
        "1 x chosen and rejected are identical",
    ]
    assert "    ... and 2 more" in lines
    assert sum("row 2, column 'chosen'" in line for line in lines) == 1
    assert load(tmp_path, PAIR).describe_skipped() == []


def test_nothing_left_is_an_error_also_when_skipping(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="all 2 rows are bad"):
        load(tmp_path, {**PAIR, "chosen": ""}, {**PAIR, "chosen": ""}, on_bad_row="skip")
    with pytest.raises(UserError, match="there are no rows"):
        load(tmp_path)


def test_fields_can_be_given_columns_and_errors_keep_the_users_names(tmp_path: Path) -> None:
    rows = [{"ask": "p", "good": "a", "bad": "b"}, {"ask": "p", "good": "", "bad": "b"}]
    columns = {"prompt": "ask", "chosen": "good", "rejected": "bad"}
    feedback = load(tmp_path, rows[0], columns=columns)
    assert feedback.records == (Comparison("p", "a", "b"),)
    with pytest.raises(UserError) as error:
        load(tmp_path, *rows, columns=columns)
    assert error.value.where.endswith("row 2, column 'good'")
    turned = {"ask": "prompt", "good": "chosen", "rejected": "bad"}
    assert load(tmp_path, rows[0], columns=turned).records == feedback.records


def test_a_column_that_another_replaces_stands_aside(tmp_path: Path) -> None:
    row = {"prompt": 17, "question": "p", "completion": "c"}
    feedback = load(tmp_path, row, columns={"prompt": "question"})
    assert feedback.records == (Demonstration("p", "c"),)
    assert feedback.ignored == ("prompt",)
    swapped = load(tmp_path, PAIR, columns={"chosen": "rejected", "rejected": "chosen"})
    assert swapped.records == (Comparison("p", "b", "a"),)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"prompt": "ask", "chosen": "goood"}, "no column 'goood' to be the chosen"),
        ({"prmpt": "ask"}, "neither 'prmpt' nor 'ask' is a field.*Did you mean 'prompt'"),
        ({"prompt": "ask", "chosen": "ask"}, "named twice"),
        ({"ask": "prompt", "good": "prompt"}, "named twice"),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(
    tmp_path: Path, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path, {"ask": "p", "good": "a", "rejected": "b"}, columns=columns)
    assert error.value.where == "--columns"


def test_own_attributes_are_named_by_column_or_by_the_record_type(tmp_path: Path) -> None:
    row = {"prompt": "p", "completion": "c", "wit": 1, "depth": 2, "id": 7}
    chosen = load(tmp_path, row, columns={"ratings.wit": "wit"})
    assert chosen.records == (Rating("p", "c", {"wit": 1.0}),)
    assert set(chosen.ignored) == {"depth", "id"}
    every = load(tmp_path, row, record_type="rating")
    assert every.records == (Rating("p", "c", {"wit": 1.0, "depth": 2.0}),)
    assert load(tmp_path, row, record_type="demonstration").record_type == "demonstration"


def test_columns_no_record_holds_are_listed(tmp_path: Path) -> None:
    assert load(tmp_path, {**PAIR, "id": 3, "source": "x"}).ignored == ("id", "source")


def test_limit_reads_no_further(tmp_path: Path) -> None:
    feedback = load(tmp_path, PAIR, PAIR, {**PAIR, "chosen": ""}, limit=2)
    assert len(feedback.records) == feedback.rows == 2
    with pytest.raises(UserError, match="at least 1"):
        load(tmp_path, PAIR, limit=0)


def test_rows_after_those_used_for_recognition_are_validated_too(tmp_path: Path) -> None:
    rows = [PAIR] * 1500 + [{**PAIR, "chosen": ""}]
    with pytest.raises(UserError) as error:
        load(tmp_path, *rows)
    assert error.value.where.endswith("row 1501, column 'chosen'")


def pair(**details: Any) -> dict[str, Any]:
    return {"prompt": "p", "chosen": "a", "rejected": "b", **details}


@pytest.mark.parametrize(
    ("details", "votes", "rewards", "gap"),
    [
        ({"votes": [3, 1]}, (3, 1), None, None),
        ({"votes": {"rejected": 0, "chosen": 2}}, (2, 0), None, None),
        ({"votes_chosen": 4, "votes_rejected": 4}, (4, 4), None, None),
        ({"chosen_votes": 4.0, "rejected_votes": 1}, (4, 1), None, None),
        ({"score_chosen": 8.5, "score_rejected": 7}, None, (8.5, 7.0), 1.5),
        ({"chosen_score": 1, "rejected_score": 4}, None, (1.0, 4.0), -3.0),
        ({"chosen_rating": 5, "rejected_rating": 2}, None, (5.0, 2.0), 3.0),
        ({"margin": 0.25}, None, None, 0.25),
        ({"margin": 2, "score_chosen": 9, "score_rejected": 3}, None, (9.0, 3.0), 2.0),
        ({}, None, None, None),
    ],
)
def test_votes_scores_and_margins_stay_with_their_comparison(
    tmp_path: Path, details: Any, votes: Any, rewards: Any, gap: Any
) -> None:
    feedback = load(tmp_path, pair(**details))
    assert feedback.ignored == ()
    (record,) = feedback.records
    assert (record.votes, record.rewards, record.reward_gap) == (votes, rewards, gap)


def test_details_may_be_missing_from_a_row(tmp_path: Path) -> None:
    feedback = load(tmp_path, pair(votes=[3, 1]), pair(votes=None), pair())
    assert [record.votes for record in feedback.records] == [(3, 1), None, None]


@pytest.mark.parametrize(
    "details",
    [
        {"votes": 12},
        {"votes_chosen": 3},
        {"score_chosen": 3.0},
        {"margin": "wide"},
        {"score_chosen": "good", "score_rejected": "bad"},
    ],
)
def test_columns_that_only_share_a_name_with_details_are_left_alone(
    tmp_path: Path, details: Any
) -> None:
    feedback = load(tmp_path, pair(**details))
    assert feedback.records == (Comparison("p", "a", "b"),)
    assert feedback.ignored == tuple(details)


def test_of_several_spellings_the_first_is_taken_and_the_others_are_listed(tmp_path: Path) -> None:
    scores = {"chosen_score": 9, "rejected_score": 1, "chosen_rating": 5, "rejected_rating": 4}
    feedback = load(tmp_path, pair(**scores))
    assert feedback.records[0].rewards == (9.0, 1.0)
    assert feedback.ignored == ("chosen_rating", "rejected_rating")


def test_details_can_be_given_columns(tmp_path: Path) -> None:
    columns = {"votes_chosen": "for", "votes_rejected": "against", "margin": "lead"}
    row = {"prompt": "p", "chosen": "a", "rejected": "b", "for": 5, "against": 2, "lead": 0.5}
    feedback = load(tmp_path, row, columns=columns)
    assert feedback.records[0].votes == (5, 2)
    assert feedback.records[0].margin == 0.5


VOTES = {"votes": [1, 0]}
TWO_VOTES = {"votes_chosen": 1, "votes_rejected": 1}
THEIR_VOTES = {"chosen_votes": 1, "rejected_votes": 0}
SCORES = {"score_chosen": 1, "score_rejected": 0}


@pytest.mark.parametrize(
    ("first", "second", "column", "message"),
    [
        (VOTES, {"votes": [1, 3]}, "votes", "1 voted for chosen and 3 for rejected"),
        (VOTES, {"votes": [0, 0]}, "votes", "0 voted for chosen"),
        (VOTES, {"votes": [3]}, "votes", "found 1 numbers"),
        (VOTES, {"votes": [2, -1]}, "votes", "expected a whole number of people"),
        (VOTES, {"votes": [2, 0.5]}, "votes", "expected a whole number of people"),
        (VOTES, {"votes": 3}, "votes", "expected a list"),
        (THEIR_VOTES, {"chosen_votes": 1, "rejected_votes": 3}, "rejected_votes", "3 for rejected"),
        (TWO_VOTES, {"votes_chosen": 1}, "votes_rejected", "is missing"),
        (SCORES, {"score_chosen": 1.0, "score_rejected": None}, "score_rejected", "is null"),
        (SCORES, {"score_chosen": "9", "score_rejected": 1}, "score_chosen", "expected a number"),
        ({"margin": 1}, {"margin": 10**400}, "margin", "expected a finite number"),
    ],
)
def test_details_that_cannot_be_are_refused(
    tmp_path: Path, first: Any, second: Any, column: str, message: str
) -> None:
    # The columns are recognised from the first row, which is a good one.
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path, pair(**first), pair(**second))
    assert error.value.where.endswith(f"row 2, column '{column}'")
