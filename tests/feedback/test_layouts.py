"""Layouts of published data sets: each is read as what its authors say it means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from accordant.base.errors import UserError
from accordant.feedback.layouts import LAYOUTS
from accordant.feedback.loading import Feedback, load_feedback
from accordant.feedback.records import Comparison, Demonstration, Message, Ranking, Rating
from tests.feedback.rows import write_rows

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
U = {"role": "user", "content": "q"}
GOOD = {"role": "assistant", "content": "good"}
POOR = {"role": "assistant", "content": "poor"}
PLAIN = Comparison("q", "good", "poor")
TALK = Comparison(
    (Message("user", "q"),), (Message("assistant", "good"),), (Message("assistant", "poor"),)
)
GRADED = Comparison("q", "good", "poor", margin=2.0)
RATED = Comparison("q", "good", "poor", rewards=(8.0, 5.0))
RANKED = Ranking("q", ("good", "poor"), (5.0, 1.0))
OURS = Comparison((Message("system", "s"), Message("user", "q")), TALK.chosen, TALK.rejected)
SCORED = {"score_chosen": 8.0, "score_rejected": 5.0}

# Data set as the guide names it, a row of it, and what it says.
ROWS: list[tuple[str, dict[str, Any], Any]] = [
    (
        "HuggingFaceH4/ultrafeedback_binarized",
        {
            "prompt": "q",
            "prompt_id": "x",
            "chosen": [U, GOOD],
            "rejected": [U, POOR],
            "messages": [U, GOOD],
            **SCORED,
        },
        Comparison(TALK.prompt, TALK.chosen, TALK.rejected, rewards=(8.0, 5.0)),
    ),
    (
        "openbmb/UltraFeedback",
        {
            "source": "x",
            "instruction": "q",
            "models": ["m", "n"],
            "completions": [
                {"response": "poor", "overall_score": 1.0},
                {"response": "good", "overall_score": 5.0},
            ],
        },
        RANKED,
    ),
    (
        "Anthropic/hh-rlhf",
        {
            "chosen": "\n\nHuman: q\n\nAssistant: good",
            "rejected": "\n\nHuman: q\n\nAssistant: poor",
        },
        TALK,
    ),
    (
        "argilla/ultrafeedback-binarized-preferences",
        {
            "source": "x",
            "instruction": "q",
            "chosen_response": "good",
            "rejected_response": "poor",
            "chosen_avg_rating": 8.0,
            "rejected_avg_rating": 5.0,
        },
        RATED,
    ),
    (
        "argilla/ultrafeedback-binarized-preferences-cleaned",
        {
            "prompt": "q",
            "chosen": [U, GOOD],
            "rejected": [U, POOR],
            "chosen-rating": 8.0,
            "rejected-rating": 5.0,
        },
        Comparison(TALK.prompt, TALK.chosen, TALK.rejected, rewards=(8.0, 5.0)),
    ),
    (
        "argilla/dpo-mix-7k",
        {
            "dataset": "x",
            "chosen": [U, GOOD],
            "rejected": [U, POOR],
            "chosen_rating": 8.0,
            "rejected_rating": 5.0,
        },
        Comparison(TALK.prompt, TALK.chosen, TALK.rejected, rewards=(8.0, 5.0)),
    ),
    (
        "argilla/distilabel-intel-orca-dpo-pairs",
        {
            "system": "s",
            "input": "q",
            "chosen": "good",
            "rejected": "poor",
            "generations": ["good", "poor"],
            "rating": [9.0, 7.0],
        },
        OURS,
    ),
    (
        "Intel/orca_dpo_pairs",
        {"system": "s", "question": "q", "chosen": "good", "rejected": "poor"},
        OURS,
    ),
    (
        "distilabel: generations and ratings",
        {"instruction": "q", "generations": ["poor", "good"], "ratings": [1.0, 5.0]},
        RANKED,
    ),
    (
        "stanfordnlp/SHP",
        {
            "post_id": "x",
            "history": "q",
            "human_ref_A": "good",
            "human_ref_B": "poor",
            "labels": 1,
            "score_A": 3,
            "score_B": 1,
        },
        PLAIN,
    ),
    (
        "PKU-Alignment/PKU-SafeRLHF",
        {
            "prompt": "q",
            "response_0": "poor",
            "response_1": "good",
            "better_response_id": 1,
            "safer_response_id": 0,
        },
        PLAIN,
    ),
    (
        "lmsys/chatbot_arena_conversations",
        {
            "question_id": "x",
            "model_a": "m",
            "model_b": "n",
            "winner": "model_b",
            "conversation_a": [U, POOR],
            "conversation_b": [U, GOOD],
        },
        TALK,
    ),
    (
        "lmarena-ai/arena-human-preference-55k",
        {
            "prompt": '["q"]',
            "response_a": '["good"]',
            "response_b": '["poor"]',
            "winner_model_a": 1,
            "winner_model_b": 0,
            "winner_tie": 0,
        },
        TALK,
    ),
    (
        "lmarena-ai/arena-human-preference-100k",
        {
            "winner": "model_a",
            "conversation_a": [
                {"role": "user", "content": [{"type": "text", "text": "q"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "good"}]},
            ],
            "conversation_b": [U, POOR],
        },
        TALK,
    ),
    (
        "two answers and a winner",
        {"prompt": "q", "response_a": "good", "response_b": "poor", "winner": "A"},
        PLAIN,
    ),
    (
        "nvidia/HelpSteer2",
        {"prompt": "q", "response": "good", "helpfulness": 3, "coherence": 4},
        Rating("q", "good", {"helpfulness": 3.0, "coherence": 4.0}),
    ),
    (
        "nvidia/HelpSteer2 (preference)",
        {"prompt": "q", "response_1": "poor", "response_2": "good", "preference_strength": 2},
        GRADED,
    ),
    (
        "nvidia/HelpSteer3",
        {
            "domain": "x",
            "context": [U],
            "response1": "good",
            "response2": "poor",
            "overall_preference": -2,
        },
        Comparison(TALK.prompt, TALK.chosen, TALK.rejected, margin=2.0),
    ),
    (
        "Skywork/Skywork-Reward-Preference-80K",
        {"chosen": [U, GOOD], "rejected": [U, POOR], "source": "x"},
        TALK,
    ),
    (
        "openai/webgpt_comparisons",
        {
            "question": {"dataset": "x", "full_text": "q"},
            "answer_0": "good",
            "answer_1": "poor",
            "score_0": 1,
            "score_1": -1,
        },
        GRADED,
    ),
    (
        "allenai/llama-3.1-tulu-3-8b-preference-mixture",
        {"id": "x", "source": "y", "prompt": "q", "chosen": [U, GOOD], "rejected": [U, POOR]},
        TALK,
    ),
    (
        "LLaMA-Factory: a list of the better and the worse output",
        {"instruction": "q", "output": ["good", "poor"]},
        PLAIN,
    ),
]


def load(tmp_path: Path, *rows: Any, **options: Any) -> Feedback:
    return load_feedback(str(write_rows(tmp_path / "rows.jsonl", list(rows))), **options)


@pytest.mark.parametrize(("data", "row", "record"), ROWS, ids=[name for name, *_ in ROWS])
def test_a_published_layout_is_read_as_what_it_means(
    tmp_path: Path, data: str, row: Any, record: Any
) -> None:
    assert load(tmp_path, row).records == (record,)


def test_every_layout_has_its_row_here_and_in_the_guide() -> None:
    names = {name for name, *_ in ROWS}
    names.add("OpenAssistant/oasst1")  # of several rows, below
    assert {name for layout in LAYOUTS for name in layout.data.split(", ")} <= names
    guide = PAGE.read_text(encoding="utf-8").partition("## Layouts of published data sets")[2]
    assert names <= {*re.findall(r"^\| (.+?) \|", guide, re.MULTILINE)}


ARENA = {"prompt": "q", "response_a": "good", "response_b": "poor", "winner": "model_a"}


def test_ranked_replies_of_a_tree_of_messages_are_rankings(tmp_path: Path) -> None:
    def message(name: str, parent: str | None, role: str, rank: int | None = None) -> Any:
        texts = {"message_id": name, "parent_id": parent, "role": role, "rank": rank}
        return {**texts, "text": name, "lang": "en"}

    rows = [
        message("a1", "q", "assistant", 1),
        message("q", None, "prompter"),
        message("a0", "q", "assistant", 0),
        message("again", "a0", "prompter"),
        message("b0", "again", "assistant", 0),
        message("b1", "again", "assistant", 1),
        message("alone", "again", "assistant"),
    ]
    feedback = load(tmp_path, *rows)
    first, second = (Message("user", "q"),), (Message("assistant", "a0"), Message("user", "again"))
    answers = [(Message("assistant", name),) for name in ("a0", "a1", "b0", "b1")]
    assert feedback.records == (
        Ranking(first, tuple(answers[:2]), (-0.0, -1.0)),
        Ranking(first + second, tuple(answers[2:]), (-0.0, -1.0)),
    )
    with pytest.raises(UserError, match="several ranked replies"):
        load(tmp_path, *rows[1:3])


def test_ties_are_left_out_and_counted_and_are_no_error(tmp_path: Path) -> None:
    rows = [ARENA, {**ARENA, "winner": "tie"}, {**ARENA, "winner": "tie (bothbad)"}]
    feedback = load(tmp_path, *rows)
    assert feedback.records == (PLAIN,)
    assert [row.reason for row in feedback.skipped] == ["tie", "tie"]
    assert feedback.describe_skipped()[1] == "  2 x tie"
    with pytest.raises(UserError, match="all 1 rows are bad"):
        load(tmp_path, rows[1])


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"winner": "model_c"}, "winner"),
        ({"winner": None}, "winner"),
        ({"response_b": None}, "response_b"),
        ({"response_a": " "}, "response_a or response_b"),
    ],
)
def test_faults_of_a_layout_name_the_columns_of_the_file(
    tmp_path: Path, change: Any, column: str
) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path, ARENA, {**ARENA, **change})
    assert error.value.where.endswith(f"row 2, column '{column}'")


def test_the_arena_is_read_from_a_table_whatever_its_cells_look_like(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    head = "id,prompt,response_a,response_b,winner_model_a,winner_model_b,winner_tie\n"
    path.write_text(
        head + '1,"[""2+2?""]","[""4""]","[""5""]",1,0,0\n2,"[""a""]","[""b""]",x,0,0,1\n'
    )
    (record,) = load_feedback(str(path), on_bad_row="skip").records
    assert record.chosen == (Message("assistant", "4"),)  # type: ignore[union-attr]
    path.write_text("prompt,response_0,response_1,better_response_id\n2+2?,5,4,1\n")
    assert load_feedback(str(path)).records == (Comparison("2+2?", "4", "5"),)


def test_another_column_can_give_the_verdict(tmp_path: Path) -> None:
    _, row, _ = next(entry for entry in ROWS if "PKU" in entry[0])
    feedback = load(tmp_path, row, columns={"better_response_id": "safer_response_id"})
    assert feedback.records == (Comparison("q", "poor", "good"),)


def test_the_conversation_beside_a_pair_is_read_on_request(tmp_path: Path) -> None:
    feedback = load(tmp_path, ROWS[0][1], record_type="demonstration")
    assert feedback.records == (Demonstration(TALK.prompt, TALK.chosen),)


def test_what_a_layout_does_not_read_is_listed(tmp_path: Path) -> None:
    assert load(tmp_path, {**ARENA, "judge": "x"}).ignored == ("judge",)
