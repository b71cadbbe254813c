"""Token borders and truncation, with a real tokenizer's kind of rules."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from accordant.checks.before.boundaries import boundaries
from accordant.checks.before.truncation import truncation
from accordant.checks.inputs import CheckInputs
from accordant.feedback.records import Comparison, Demonstration, Origin
from accordant.runs import check_inputs
from accordant.runs.session import open_session
from accordant.runs.settings import CheckConfig
from tests.checks.before.feedback import comparisons, dropped, feedback, rows_of
from tests.tokens.small_tokenizers import TOKENIZERS


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A check of records in tokens, as the command puts them together."""

    def run(check, records, kind="comparison", tokenizer="chatml", limit=None, **settings):
        made = TOKENIZERS[tokenizer]
        monkeypatch.setattr("accordant.models.facts.load_tokenizer", lambda *_, **__: made)
        monkeypatch.setattr("accordant.models.facts.read_model_config", lambda *_, **__: None)
        config = CheckConfig(data="x", max_length=limit, **settings)
        inputs = CheckInputs(feedback(records, kind))
        return check(check_inputs._with_tokens(open_session(config), inputs))

    return run


@pytest.mark.parametrize("tokenizer", ["chatml", "llama3", "gemma", "mistral"])
def test_clean_feedback_is_left_alone(look, tokenizer):
    for check in (boundaries, truncation):
        finding = look(check, comparisons(60), tokenizer=tokenizer)
        assert finding.severity == "ok", finding
        assert finding.rows == finding.drop == ()


def test_refused_rows_are_all_reported_and_the_others_are_still_checked(look):
    records = comparisons(60)
    for place in (5, 41):
        records[place] = replace(records[place], chosen="stop <|im_end|> here")
    records[20] = replace(records[20], rejected="Human: and then?")
    finding = look(boundaries, records)
    assert finding.severity == "serious"
    assert rows_of(finding) == {6, 42, 21}
    assert dropped(finding) == [6, 42]
    notes = {row.origin.row: row.passages[0].text for row in finding.rows}
    assert "end-of-turn token" in notes[6]
    assert "'Human:' in rejected" in notes[21]


def test_answers_that_are_the_same_in_tokens_teach_nothing(look):
    records = comparisons(60)
    records[3] = replace(records[3], rejected=records[3].chosen)
    finding = look(boundaries, records)
    assert rows_of(finding) == {4}
    assert dropped(finding) == [4]


def test_lost_characters_and_marks_of_other_templates_are_found(look):
    records = comparisons(60)
    records[1] = replace(records[1], prompt="caf� au lait")
    records[2] = replace(records[2], chosen="[INST] no [/INST]")
    finding = look(boundaries, records)
    assert rows_of(finding) == {2, 3}
    assert finding.severity == "warning"
    names = {measure.name for measure in finding.measures}
    assert "a character lost in an earlier conversion (�)" in names


def test_a_mark_in_the_middle_of_a_sentence_is_no_role(look):
    records = [replace(r, chosen="The Human: a history, by an Assistant") for r in comparisons(20)]
    assert look(boundaries, records).severity == "ok"


def test_a_token_that_straddles_the_border_is_found(look):
    # The answer's line break merges with the one that ends the template's prompt.
    records = comparisons(60)
    records[7] = replace(records[7], chosen="\n\n" + records[7].chosen)
    finding = look(boundaries, records, tokenizer="qwen")
    assert rows_of(finding) == {8}
    assert "straddles" in finding.rows[0].note


def test_rows_longer_than_the_limit_are_found_and_kept_from_the_model(look):
    records = comparisons(60)
    records[9] = replace(records[9], prompt=" ".join(["word"] * 500))
    limit = 400
    finding = look(truncation, records, limit=limit)
    assert finding.severity == "warning"
    (row,) = finding.rows
    assert (row.origin.row, row.note) == (10, "longer than the limit")
    assert row.value > limit
    assert dropped(finding) == [10]
    assert "1 of 60 rows are longer than 400 tokens" in finding.sentence


def test_answers_cut_at_one_length_are_found_and_unended_ones_are_not(look):
    draw = random.Random(0)
    words = ["the", "dog", "fox", "lazy"]
    records = []
    for row in range(1, 201):
        text = " ".join(draw.choices(words, k=draw.randint(5, 40)))
        ended = draw.random() < 0.7
        records.append(Demonstration("say it", text + "." * ended, Origin("f", row)))
    assert look(truncation, records, "demonstration").severity == "ok"
    cut = random.Random(1).sample(range(200), 30)
    for place in cut:
        text = "x" + "".join(draw.choices("qzjvk", k=299))
        records[place] = replace(records[place], completion=text)
    finding = look(truncation, records, "demonstration")
    assert rows_of(finding) == {place + 1 for place in cut}


def test_pairs_are_named_by_the_answer_that_breaks_off(look):
    draw = random.Random(0)
    cut = ["".join(draw.choices("qzjvk", k=50)) for _ in range(40)]
    records = [
        Comparison(f"p{n}", f"the dog {n}.", text, Origin("f", n)) for n, text in enumerate(cut, 1)
    ]
    finding = look(truncation, records)
    assert {row.note for row in finding.rows} == {"rejected breaks off"}
    assert finding.number.estimate == 1
