"""Expressions of rewards: what they mean, and how they are refused."""

from __future__ import annotations

import pytest

from accordant.base.errors import UserError
from accordant.rewards.expression import find_reward
from accordant.rewards.reward import Answer, score_single

ANSWERS = [Answer("p", "Two words here.", True), Answer("p", "a b", False)]


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("shorter", [-3, -2]),
        (" shorter ", [-3, -2]),
        ("shorter + finished", [-2, -2]),
        ("shorter - finished", [-4, -2]),
        ("-shorter", [3, 2]),
        ("2*finished + shorter*0.5", [0.5, -1]),
        ("2 * (finished - shorter)", [8, 4]),
        ("min(finished, rule:concise)", [1, 0]),
        ("max(shorter, finished)", [1, 0]),
        ("mean(shorter, finished)", [-1, -1]),
        ("clip(shorter, low=-2.5)", [-2.5, -2]),
        ("sum(clip(finished, high=1e-1), shorter)", [-2.9, -2]),
        ("centre(shorter, at=-3)", [0, 1]),
        ("centre(shorter, text='one (two), three + \"four\"')", [2, 3]),
        ("identity('shorter')", [-3, -2]),
        ("finished[reward]", [1, 0]),
    ],
)
def test_an_expression_means_what_it_says_and_its_name_means_the_same(expression, values) -> None:
    found = find_reward(expression)
    assert score_single(found, ANSWERS) == pytest.approx(values)
    again = find_reward(found.name)
    assert again.name == found.name
    assert score_single(again, ANSWERS) == pytest.approx(values)


def test_names_may_hold_minus_and_a_path_anything(tmp_path) -> None:
    path = tmp_path / "my own-file.py"
    path.write_text("def size(prompt, text, finished):\n    return len(text)\n")
    assert score_single(find_reward(f"{path}:size"), ANSWERS).tolist() == [15, 3]
    both = find_reward(f"'{path}:size' - finished")
    assert score_single(both, ANSWERS).tolist() == [14, 3]
    plain = tmp_path / "my-file.py"
    plain.write_text(path.read_text())
    assert score_single(find_reward(f"2*{plain}:size"), ANSWERS).tolist() == [30, 6]


@pytest.mark.parametrize(
    ("expression", "where", "said"),
    [
        ("shrter", "option --judge", "no judge 'shrter'.*Did you mean 'shorter'"),
        ("lsc(shrter) + finished", "character 5 of", "no judge 'shrter'.*'shorter'"),
        ("lsk(shorter)", "character 1", "no function 'lsk'.*'lsc'"),
        ("__import__(shorter)", "character 1", "no function"),
        ("finished + lsc(shorter", "character 23", "the end.*expected `,` or `\\)`"),
        ("shorter finished", "character 9", "found 'finished', expected the end"),
        ("finished[happy]", "character 10", "no attribute 'happy'.*It has reward"),
        ("3", "character 2", "can only weigh"),
        ("shorter + 3", "character 12", "can only weigh"),
        ("lsc(shorter, p=3)", "character 1", "no option 'p'"),
        ("lsc(shorter, q=2)", "character 1", "option 'q' is '2'"),
        ("lsc(shorter, finished)", "character 1", "lsc takes one reward"),
        ("min(shorter, q=3)", "character 1", "min takes rewards and no option"),
        ("lsc", "option --judge", "lsc is a function"),
        ("./runs/helpful[helpfulness]", "character 1 of", "no model at './runs/helpful'"),
        ("shorter & finished", "character 9", "cannot read '&'"),
        ("", "option --judge", "expected a judge"),
        (":", "option --judge", "no judge"),
        ("2*no-such-file.py:polite", "no-such-file.py:polite", "no such file"),
    ],
)
def test_an_error_points_at_its_place(expression, where, said) -> None:
    with pytest.raises(UserError, match=said) as error:
        find_reward(expression, where="option --judge", noun="judge")
    assert where in error.value.where
