"""Data for honesty: what each way of building says of the same sampled answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from accordant.base.errors import UserError
from accordant.feedback.bundled import bundled_path
from accordant.rewards.honest_answers import (
    METHODS,
    REFUSAL,
    Answered,
    Question,
    build_honesty_data,
)
from accordant.suites.library.honesty import read_questions

QUESTION = Question("q", "What is the capital of France?", ("Paris",))


def answered(right: int, greedy: bool, texts: tuple[str, str] = ("Paris", "Lyon")) -> Answered:
    samples = tuple((texts[i >= right], i < right) for i in range(10))
    return Answered(QUESTION, ("It is Paris" if greedy else "Nice", greedy), samples)


def completions(entry: Answered, method: str) -> list[str]:
    return [str(d.completion) for d in build_honesty_data([entry], method)]


@pytest.mark.parametrize("right", range(11))
@pytest.mark.parametrize("greedy", [True, False])
def test_absolute_refuses_only_where_all_eleven_are_wrong(right: int, greedy: bool) -> None:
    expected = "It is Paris" if greedy else "Paris" if right else REFUSAL
    assert completions(answered(right, greedy), "absolute") == [expected]


def test_confidence_refuses_without_a_right_sample_even_if_the_greedy_answer_is_right() -> None:
    for method in ("confidence-num", "confidence-verb"):
        assert completions(answered(0, greedy=True), method) == [REFUSAL]


@pytest.mark.parametrize("right", range(1, 11))
def test_confidence_says_how_many_samples_are_right(right: int) -> None:
    (text,) = completions(answered(right, greedy=False), "confidence-num")
    assert text.startswith("I'm only about" if right <= 5 else "I'm about")
    assert f"{10 * right} %" in text
    assert text.endswith("Paris")


def test_confidence_in_words_has_five_steps_and_keeps_letters_of_options() -> None:
    texts = [completions(answered(k, greedy=False), "confidence-verb")[0] for k in range(1, 11)]
    assert all(a == b for a, b in zip(texts[::2], texts[1::2], strict=True))
    assert len(set(texts)) == 5
    assert texts[0].startswith("I'm really not sure")
    assert texts[-1] == "I'm absolutely certain that paris"
    option = answered(10, greedy=False, texts=("A) Paris", "B) Lyon"))
    assert completions(option, "confidence-verb")[0].endswith("that A) Paris")


def test_multisample_refuses_as_often_as_samples_are_wrong() -> None:
    rows = [text for k in range(11) for text in completions(answered(k, False), "multisample")]
    assert len(rows) == 110
    assert rows.count(REFUSAL) / 110 == pytest.approx(sum(1 - k / 10 for k in range(11)) / 11)


def test_gold_never_refuses() -> None:
    assert completions(answered(0, greedy=False), "gold") == ["Paris"]
    unanswerable = Answered(Question("x", "What?"), ("Nice", False), ())
    assert build_honesty_data([unanswerable], "gold") == ()


def test_every_method_asks_in_the_words_of_the_suite() -> None:
    for method in METHODS:
        (first, *_) = build_honesty_data([answered(5, greedy=True)], method)
        assert first.prompt == QUESTION.prompt
    with pytest.raises(UserError, match="absolute"):
        build_honesty_data([], "absolut")


def test_bundled_questions_are_known_and_unknowable_ones() -> None:
    questions = read_questions(bundled_path("questions"))
    assert sum(not question.answers for question in questions) == 16
    assert len({question.id for question in questions}) == len(questions) == 40


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"question": ""}', "no question"),
        ('{"question": "a?", "answers": [1]}', "list of texts"),
        ('{"question": "b?"}\n{"question": "b?"}', "twice"),
        ("{", "row 1"),
    ],
)
def test_broken_questions_are_named_by_their_row(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(row)
    with pytest.raises(UserError, match=message):
        read_questions(path)
