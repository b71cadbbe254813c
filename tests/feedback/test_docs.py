"""The guide to feedback data: every block of it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from accordant.feedback.kinds import KINDS, list_layouts

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_of_the_guide_runs_by_itself(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(PAGE), "exec"), {"__name__": "guide"})


@pytest.mark.parametrize("block", blocks("bash"))
def test_commands_of_the_guide_run_by_themselves(block: str, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Prompt tokens: median" in done.stdout + done.stderr


def test_every_record_type_and_its_columns_stand_in_the_table() -> None:
    for record_type in KINDS:
        row = next(r for r in TEXT.splitlines() if r.startswith(f"| `{record_type}` |"))
        columns = set(re.findall(r"`(\w+)`", row.split("|")[2]))
        for kind, layout in list_layouts():
            if kind == record_type and "messages" not in layout:
                assert columns.issuperset(layout), record_type
