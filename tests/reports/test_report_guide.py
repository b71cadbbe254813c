from __future__ import annotations

import re
from pathlib import Path

from accordant.reports.results import SCHEMA_VERSION
from accordant.rewards.expression import find_reward
from accordant.rewards.registry import list_rewards
from accordant.rewards.reward import Answer, score_single

GUIDE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)


def test_the_examples_of_the_guide_run(capsys):
    for block in BLOCKS:
        exec(compile(block, "docs/report.md", "exec"), {})
    assert "Interval(estimate=1.0" in capsys.readouterr().out


def test_the_judge_of_the_guide_works_from_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(BLOCKS[0])
    judge = find_reward(f"{tmp_path / 'mine.py'}:polite")
    assert judge.description == "How often it says please"
    assert score_single(judge, [Answer("", "Please, please")]) == 2


def test_the_guide_names_every_judge_and_the_schema():
    for name in (reward.name for reward in list_rewards()):
        assert f"| `{name}` |" in GUIDE
    assert f"`schema_version` ({SCHEMA_VERSION})" in GUIDE
