from __future__ import annotations

import pytest

from accordant.base.errors import UserError
from accordant.rewards.judges import JUDGES, Judge, apply_judge, find_judge, judge


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_every_judge_states_what_it_scores_and_scores_any_text(name):
    found = find_judge(name)
    assert found.description
    assert not found.description.endswith(".")
    for text in ("", "word", "Two sentences. Here they are.", "\x00<b>\n"):
        for finished in (True, False):
            assert isinstance(apply_judge(found, "prompt", text, finished), float)


def test_concise_wants_a_clean_end_within_two_sentences():
    concise = find_judge("rule:concise")
    good = "Water boils at 100 degrees. Salt raises that a little."
    assert apply_judge(concise, "", good, True) == 1.0
    assert apply_judge(concise, "", good, False) == 0.0
    assert apply_judge(concise, "", f"{good} And more. And more.", True) == 0.0


def test_shorter_prefers_fewer_words_but_not_silence():
    shorter = find_judge("shorter")
    scores = [apply_judge(shorter, "", text, True) for text in ("", "a b c", "a b", "a")]
    assert scores == sorted(scores)


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="already"):
        judge("shorter", "again")(lambda prompt, text, finished: 0.0)


def test_a_judge_can_come_from_a_users_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "def polite(prompt, text, finished):\n"
        "    'Says please. Often.'\n"
        "    return text.count('please')\n"
    )
    found = find_judge(f"{path}:polite")
    assert found.name == f"{path}:polite"
    assert found.description == "Says please. Often"
    assert apply_judge(found, "", "please, please", True) == 2.0


@pytest.mark.parametrize(
    ("content", "function", "said"),
    [
        ("x = 1", "polite", "no function 'polite'"),
        ("def polite(text): return 1", "polite", "three arguments"),
        ("1 / 0", "polite", "ZeroDivisionError"),
        ("def polite(", "polite", "SyntaxError"),
        ("import sys\nsys.exit(3)", "polite", "SystemExit"),
    ],
)
def test_a_users_file_that_does_not_work_is_a_readable_error(tmp_path, content, function, said):
    path = tmp_path / "mine.py"
    path.write_text(content)
    with pytest.raises(UserError, match=said) as error:
        find_judge(f"{path}:{function}")
    assert "mine.py" in error.value.where


@pytest.mark.parametrize("name", ["shrter", "no-such-file.py:polite", ":", ""])
def test_an_unknown_judge_is_a_readable_error(name):
    with pytest.raises(UserError):
        find_judge(name)


@pytest.mark.parametrize("returned", [float("nan"), None, "0.5", [1]])
def test_a_score_that_is_no_number_names_the_prompt(returned):
    broken = Judge("broken", "returns what it should not", lambda prompt, text, finished: returned)
    with pytest.raises(UserError, match="not a number") as error:
        apply_judge(broken, "why is\nthe sky blue?", "because", True)
    assert "why is the sky blue?" in error.value.where


def test_a_judge_that_fails_names_its_line():
    def fail(prompt, text, finished):
        return {}["score"]

    with pytest.raises(UserError, match=r"KeyError.*line \d+ of test_judges.py"):
        apply_judge(Judge("failing", "fails", fail), "prompt", "text", True)
