from __future__ import annotations

import re
from pathlib import Path

from accordant.runs.align.results import SCHEMA_VERSION

GUIDE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)


def test_the_examples_of_the_guide_run(capsys):
    for block in BLOCKS:
        exec(compile(block, "docs/report.md", "exec"), {})
    assert "Interval(estimate=1.0" in capsys.readouterr().out


def test_the_guide_names_the_schema():
    assert f"`schema_version` ({SCHEMA_VERSION})" in GUIDE
