"""The guides' blocks run as a reader would run them: in order, in one folder, page by page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from accordant.checks import registry
from accordant.checks.registry import list_checks
from accordant.feedback.kinds import KINDS
from accordant.objectives.kinds import SCORED_KINDS
from accordant.objectives.registry import temporary_objectives
from tests.kinds import restored

ROOT = Path(__file__).parents[1]
# The other guides are run by the tests of their rooms.
PAGES = (
    "README.md",
    "docs/index.md",
    "docs/which-method.md",
    "docs/cli.md",
    "docs/catalogue.md",
    "docs/check.md",
    "docs/adding-a-study.md",
    "docs/adding-a-guide.md",
    "docs/adding-a-suite.md",
    "docs/models.md",
    "docs/python.md",
    "docs/rewards.md",
    "docs/training.md",
    "docs/adding-a-kind.md",
    "docs/adding-a-preparation.md",
    "docs/adding-an-intervention.md",
    "docs/adding-a-recipe.md",
    "docs/sweep.md",
)


def blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(python|bash)\n(.*?)^```$", page.read_text(), re.M | re.S)


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = blocks(ROOT / page)
    assert found, f"{page} has no block to run"
    monkeypatch.chdir(tmp_path)
    # What a page registers is forgotten again.
    monkeypatch.setattr(registry, "_registered", {check.name: check for check in list_checks()})
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with restored(KINDS, SCORED_KINDS):
        run_blocks(page, found, path)


def run_blocks(page: str, found: list[tuple[str, str]], path: str) -> None:
    names: dict[str, object] = {}
    for language, code in found:
        if language == "python":
            with temporary_objectives():
                exec(compile(code, page, "exec"), names)
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1"},
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


def test_every_link_of_the_readme_leads_to_a_page() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert all((ROOT / link).exists() for link in links if "://" not in link), links
