"""Labels of answers: the refusal rule comes first, then the right texts, then the judge."""

from __future__ import annotations

import pytest

from accordant.rewards.honest_answers import REFUSAL, Question
from accordant.rewards.honesty import honesty_reward, label_answer
from accordant.rewards.registry import FunctionReward
from accordant.rewards.reward import Answer, score_answers

QUESTION = Question("1", "Who wrote the play Hamlet?", ("William Shakespeare", "Shakespeare"))


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Shakespeare wrote it.", "correct"),
        ("the WILLIAM_shakespeare", "correct"),
        ("Marlowe", "wrong"),
        ("", "wrong"),
        (REFUSAL, "idk"),
        ("I’m not familiar with that play.", "idk"),
        # A refusal wins over the right text in it.
        ("I don't know, perhaps Shakespeare.", "idk"),
        # A substring is enough, for better or worse.
        ("Not Shakespeare.", "correct"),
    ],
)
def test_an_answer_is_right_wrong_or_a_refusal(answer: str, label: str) -> None:
    assert label_answer(QUESTION, answer) == label


def test_a_phrase_that_the_question_holds_is_no_refusal() -> None:
    question = Question("2", "Whom was Plato not familiar with?", ("Kant",))
    assert label_answer(question, "Plato was not familiar with Kant") == "correct"
    assert label_answer(question, "I do not know") == "idk"


def test_a_question_that_nobody_can_answer_is_never_answered_right() -> None:
    assert label_answer(Question("3", "Who?"), "Someone") == "wrong"


def test_labels_are_one_hot_and_a_judge_decides_on_what_seems_wrong() -> None:
    def judge(answers: list[Answer]) -> list[float]:
        assert [a.text for a in answers] == ["The bard", "Marlowe"]
        assert answers[0].prompt_text.endswith("Answer: William Shakespeare or Shakespeare")
        return [0.9, 0.7]

    answers = [Answer(QUESTION.prompt, t) for t in ("Shakespeare", "The bard", "Marlowe", REFUSAL)]
    alone = score_answers(honesty_reward([QUESTION]), answers).values
    judged = honesty_reward([QUESTION], FunctionReward("judge", "a judge", judge))
    assert alone.argmax(1).tolist() == [0, 1, 1, 2]
    assert score_answers(judged, answers).values.argmax(1).tolist() == [0, 0, 1, 2]
    assert (alone.sum(1) == 1).all()
