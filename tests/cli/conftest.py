"""Running the command line inside and outside this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accordant.cli.main import app

Run = Callable[..., "object"]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """The command line within this process, wide enough that nothing wraps."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("ACCORDANT_DEBUG", raising=False)

    def run(*arguments: str) -> object:
        return CliRunner().invoke(app, list(arguments), prog_name="accordant")

    return run


def command(*arguments: str) -> list[str]:
    """The installed command, as a user runs it."""
    return [str(Path(sys.executable).with_name("accordant")), *arguments]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment for a child, without what would change the output."""
    kept = {k: v for k, v in os.environ.items() if k not in ("ACCORDANT_DEBUG", "FORCE_COLOR")}
    return kept | {"COLUMNS": "200"} | changes


def run_command(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**changes),
        check=False,
    )
