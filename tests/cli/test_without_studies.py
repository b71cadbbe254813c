"""The core works alone, without the wheel of the studies and without sympy, which they bring."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# What a fresh installation of the core lacks is hidden: modules, and the wheel's metadata.
ALONE = """
import importlib.metadata as metadata, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("accordant_studies", "sympy"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
kept = metadata.entry_points
metadata.entry_points = lambda **given: metadata.EntryPoints(
    point for point in kept(**given) if not point.group.startswith("accordant")
)
from accordant.cli.main import main
sys.argv = ["accordant", *sys.argv[1:]]
main()
"""


def alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ALONE, *arguments], capture_output=True, text=True, check=False
    )


def test_help_lists_the_verbs_of_the_core() -> None:
    done = alone("--help")
    assert done.returncode == 0
    for verb in ("align", "check", "chat", "catalogue", "objectives"):
        assert verb in done.stdout
    assert "reproduce" not in done.stdout


def test_a_verb_of_another_wheel_says_how_to_install_it() -> None:
    done = alone("reproduce", "rpo")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "comes with accordant-studies" in done.stderr
    assert "pip install accordant-studies" in done.stderr


def test_objectives_are_listed_and_shown_without_their_logic() -> None:
    assert any(entry["name"] == "dpo" for entry in json.loads(alone("objectives", "--json").stdout))
    shown = alone("objectives", "dpo").stdout
    assert "log sigmoid(beta m)" in shown
    assert "--option beta" in shown
    assert "Direct Preference Optimization" in shown
    assert "Logic" not in shown
    found = json.loads(alone("objectives", "show", "dpo", "--json").stdout)
    assert found["name"] == "dpo"
    assert "logic" not in found


@pytest.mark.parametrize("arguments", [("catalogue", "rpo"), ("align", "--help")])
def test_the_other_verbs_work(arguments: tuple[str, ...]) -> None:
    done = alone(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
