"""`accordant check` as a user and a pipeline run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accordant.checks.registry import list_checks
from tests.cli.conftest import run_command

ROWS = [
    {"prompt": f"what is {n}?", "chosen": f"it is {n}", "rejected": f"{n} {n} and so on"}
    for n in range(30)
]
PLAIN = ("--model", "none")


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, ROWS[4]]))
    return file


def test_findings_are_printed_and_written(cli: Any, pairs: Path) -> None:
    result = cli("check", str(pairs), *PLAIN)
    assert result.exit_code == 0, result.output
    for text in ("duplicates", "length-bias", "serious", "row 31", "outputs/check/check.html"):
        assert text in result.stdout, text
    assert Path("outputs/check/check.json").is_file()


@pytest.mark.parametrize(
    ("level", "names", "code"),
    [
        ("serious", ("length-bias",), 1),
        ("info", ("contradictions",), 0),
        ("warning", ("duplicates",), 1),
        ("serious", ("duplicates",), 0),
    ],
)
def test_fail_on_decides_the_exit_code(
    cli: Any, pairs: Path, level: str, names: tuple[str, ...], code: int
) -> None:
    only = [part for name in names for part in ("--only", name)]
    result = cli("check", str(pairs), *PLAIN, *only, "--fail-on", level)
    assert result.exit_code == code, result.output
    assert Path("outputs/check/check.html").is_file()


def test_json_is_the_whole_report_and_nothing_else(cli: Any, pairs: Path) -> None:
    result = cli("check", str(pairs), *PLAIN, "--json", "--fail-on", "serious")
    assert result.exit_code == 1
    printed = json.loads(result.stdout)
    assert printed == json.loads(Path("outputs/check/check.json").read_text())
    assert printed["worst"] == "serious"


def test_a_dry_run_writes_nothing(cli: Any, pairs: Path) -> None:
    result = cli("check", str(pairs), *PLAIN, "--dry-run")
    assert "not run: leakage" in result.stdout
    plan = json.loads(cli("check", str(pairs), *PLAIN, "--dry-run", "--json").stdout)
    assert "duplicates" in plan["checks"]
    assert plan["tokens"] == 0
    assert not Path("outputs").exists()


def test_filter_writes_what_is_left(cli: Any, pairs: Path) -> None:
    result = cli("check", str(pairs), *PLAIN, "--only", "duplicates", "--filter", "clean.jsonl")
    assert result.exit_code == 0, result.output
    assert [json.loads(line) for line in Path("clean.jsonl").read_text().splitlines()] == ROWS


def test_the_feedback_may_be_named_in_three_ways(cli: Any, pairs: Path) -> None:
    Path("check.yaml").write_text(f"data: {pairs}\nmodel: none\nonly: [duplicates]\n")
    for arguments in (
        (str(pairs), *PLAIN, "--only", "duplicates"),
        ("--data", str(pairs), *PLAIN, "--only", "duplicates"),
        ("--config", "check.yaml"),
    ):
        result = cli("check", *arguments, "--json")
        assert json.loads(result.stdout)["source"] == str(pairs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no feedback was named"),
        (("missing.jsonl",), "no such file"),
        (("pairs.jsonl", "--only", "duplicate"), "duplicates"),
        (("pairs.jsonl", "--data", "other.jsonl"), "Name the feedback once"),
        (("pairs.jsonl", "--fail-on", "worse"), "serious"),
        (("pairs.jsonl", "--filter", "pairs.jsonl", "--overwrite"), "the feedback itself"),
        (("pairs.jsonl", "--option", "duplicates.similarity=2"), "at most 1"),
    ],
)
def test_a_users_mistake_is_a_message_and_exit_code_2(
    cli: Any, pairs: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = cli("check", *arguments, *PLAIN)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_checks_are_listed_with_their_options(cli: Any) -> None:
    listed = cli("check", "--list").stdout
    entries = json.loads(cli("check", "--list", "--json").stdout)
    assert [entry["name"] for entry in entries] == [one.name for one in list_checks()]
    for entry in entries:
        assert entry["name"] in listed
    assert "duplicates.similarity=0.8" in "".join(listed.split())


def test_it_runs_as_a_command_without_a_terminal(pairs: Path) -> None:
    done = run_command("check", str(pairs), *PLAIN, "--fail-on", "serious")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "Repeated rows ..." in done.stdout
