"""Every registered reward keeps the protocol; functions of a user's file become rewards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from accordant.base.errors import UserError
from accordant.rewards.expression import find_reward
from accordant.rewards.registry import FunctionReward, list_rewards, register_reward
from accordant.rewards.reward import Answer, Reward, Rewards, score_answers, score_single

TEXTS = ("", "word", "Two sentences. Here they are.", "\x00<b>\n", "Water boils at 100 degrees.")
ANSWERS = [
    Answer(prompt, text, finished)
    for prompt in ("Why?", "")
    for text in TEXTS
    for finished in (True, False)
]


@pytest.mark.parametrize("reward", list_rewards(), ids=lambda reward: reward.name)
def test_a_registered_reward_scores_a_batch_as_it_scores_one_by_one(reward: Reward) -> None:
    assert reward.description
    assert not reward.description.endswith(".")
    assert isinstance(reward, Reward)
    values = score_answers(reward, ANSWERS).values
    assert values.shape == (len(ANSWERS), len(reward.attributes))
    assert values.dtype == np.float64
    one_by_one = [score_answers(reward, [answer]).values[0] for answer in ANSWERS]
    assert np.array_equal(values, np.array(one_by_one))
    assert np.array_equal(values, score_answers(reward, ANSWERS).values)
    # Infinite only where it is said so: of `shorter`, an empty answer.
    infinite = {ANSWERS[row].text for row in np.flatnonzero(~np.isfinite(values).all(1))}
    assert infinite <= ({""} if "none at all is worst" in reward.description else set())


def test_the_guide_names_every_reward() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "rewards.md").read_text(encoding="utf-8")
    ours = [r.name for r in list_rewards() if "accordant." in str(r.function.__module__)]
    assert len(ours) >= 3
    assert all(f"| `{name}` |" in guide for name in ours)


def test_naming_rewards_loads_no_torch() -> None:
    code = (
        "import sys; from accordant.rewards import find_reward, list_rewards; list_rewards(); "
        "find_reward('lsc(shorter) + finished'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_answers_have_no_rewards() -> None:
    assert score_answers(find_reward("finished"), []).values.shape == (0, 1)


def test_concise_wants_a_clean_end_within_two_sentences() -> None:
    good = "Water boils at 100 degrees. Salt raises that a little."
    answers = [Answer("", good), Answer("", good, False), Answer("", f"{good} And more. More.")]
    assert score_single(find_reward("rule:concise"), answers).tolist() == [1.0, 0.0, 0.0]


def test_shorter_prefers_fewer_words_but_not_silence() -> None:
    answers = [Answer("", text) for text in ("", "a b c", "a b", "a")]
    scores = score_single(find_reward("shorter"), answers).tolist()
    assert scores == sorted(scores)


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="already"):
        register_reward("shorter", "again")(lambda prompt, text, finished: 0.0)


def test_a_reward_can_come_from_a_users_file(tmp_path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "def polite(prompt, text, finished):\n"
        "    'Says please. Often.'\n"
        "    return text.count('please')\n"
        "def batched(answers):\n"
        "    return [len(answer.text) for answer in answers]\n"
        "class Two:\n"
        "    name, description, attributes = 'two', 'two things', ('a', 'b')\n"
        "    def score(self, answers):\n"
        "        import numpy, accordant.rewards as r\n"
        "        rows = [[len(answer.text), answer.finished] for answer in answers]\n"
        "        return r.Rewards(numpy.array(rows, float))\n"
        "two = Two()\n"
    )
    found = find_reward(f"{path}:polite")
    assert found.name == f"{path}:polite"
    assert found.description == "Says please. Often"
    answers = [Answer("", "please, please"), Answer("", "no", False)]
    assert score_single(found, answers).tolist() == [2.0, 0.0]
    assert score_single(find_reward(f"{path}:batched"), answers).tolist() == [14.0, 2.0]
    assert score_single(find_reward(f"{path}:two[b]"), answers).tolist() == [1.0, 0.0]
    with pytest.raises(UserError, match=r"2 attributes.*two\[a\]"):
        score_single(find_reward(f"{path}:two"), answers)


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
        find_reward(f"{path}:{function}")
    assert "mine.py" in error.value.where


@pytest.mark.parametrize("returned", [float("nan"), None, "0.5", [1]])
def test_a_score_that_is_no_number_names_the_prompt(returned):
    broken = FunctionReward("broken", "returns nothing good", lambda prompt, text, done: returned)
    with pytest.raises(UserError, match="not a number") as error:
        score_answers(broken, [Answer("why is\nthe sky blue?", "because")])
    assert "why is the sky blue?" in error.value.where


def test_a_batch_without_numbers_is_refused_too() -> None:
    def missing(answers):
        return [0.0, float("nan")]

    def short(answers):
        return [0.0]

    answers = [Answer("first", "a"), Answer("second", "b")]
    with pytest.raises(UserError, match="not a number") as error:
        score_answers(FunctionReward("missing", "misses one", missing), answers)
    assert "second" in error.value.where
    with pytest.raises(UserError, match="shape"):
        score_answers(FunctionReward("short", "forgets one", short), answers)
    text = FunctionReward("text", "returns text", lambda answers: ["good", "bad"])
    with pytest.raises(UserError, match="ValueError"):
        score_answers(text, answers)


def test_a_function_that_fails_names_its_line() -> None:
    def fail(prompt, text, finished):
        return {}["score"]

    with pytest.raises(UserError, match=r"KeyError.*line \d+ of test_registry.py"):
        score_answers(FunctionReward("failing", "fails", fail), [Answer("prompt", "text")])


def test_steps_come_along_with_the_attribute_they_are_of() -> None:
    from accordant.rewards.wrappers import select_attribute

    def stepwise(answers):
        steps = tuple(np.array([[1.0, 0.0]] * len(answer.text)) for answer in answers)
        return Rewards(np.array([step.sum(0) for step in steps]), steps)

    both = FunctionReward("stepwise", "counts letters", stepwise, ("letters", "nothing"))
    rewards = select_attribute(both, "letters").score([Answer("", "abc")])
    assert rewards.steps is not None
    assert rewards.steps[0].tolist() == [[1.0]] * 3
    assert rewards.values.tolist() == [[3.0]]
