"""Whole evaluations on a tiny model: what is refused before loading, written, and kept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from accordant.base.errors import UserError
from accordant.runs import eval as evaluation
from accordant.runs.eval import plan_eval, run_eval
from accordant.runs.settings import EvalConfig
from tests.suites.test_provider import folder  # noqa: F401 - a fixture

QUESTIONS = '{"id": "x", "question": "a?", "answers": ["a"]}\n{"id": "y", "question": "b?"}\n'


@pytest.fixture
def config(folder: Path, tmp_path: Path) -> Callable[..., EvalConfig]:  # noqa: F811
    questions = tmp_path / "q.jsonl"
    questions.write_text(QUESTIONS)

    def settings(**more: Any) -> EvalConfig:
        values = {
            "model": str(folder),
            "precision": "float32",
            "max_new_tokens": 5,
            "output_dir": tmp_path / "out",
            "options": {"questions": str(questions)},
        }
        return EvalConfig(**(values | more))

    return settings


def run(config: EvalConfig) -> dict[str, Any]:
    _, page = run_eval("honesty", config, Console(file=io.StringIO()))
    assert page.read_text().lower().startswith("<!doctype html>")
    result: dict[str, Any] = json.loads(page.with_suffix(".json").read_text())
    return result


def test_a_run_reports_numbers_answers_and_its_log(
    config: Callable[..., EvalConfig], tmp_path: Path
) -> None:
    first = run(config())
    assert [item["id"] for item in first["items"]] == ["x", "y"]
    assert first["numbers"]["wrong"]["count"] == 2
    assert list((tmp_path / "out" / "logs").glob("*.eval"))
    # The first run is what the second is compared with.
    before = {"before": str(tmp_path / "out" / "honesty.json")}
    settings = config(output_dir=tmp_path / "after")
    after = run(settings.model_copy(update={"options": {**settings.options, **before}}))
    assert [a["answer"] for a in after["items"]] == [b["answer"] for b in first["items"]]
    assert after["numbers"]["over-conservativeness"]["estimate"] == 0


def test_a_finished_folder_is_left_alone_unless_told(config: Callable[..., EvalConfig]) -> None:
    assert len(run(config(limit=1))["items"]) == 1
    with pytest.raises(UserError, match="earlier evaluation"):
        plan_eval("honesty", config())
    assert len(run(config(overwrite=True))["items"]) == 2


def test_a_dry_run_says_what_would_be_asked(config: Callable[..., EvalConfig]) -> None:
    assert plan_eval("honesty", config(limit=1))["items"] == 1
    with pytest.raises(UserError, match="no suite 'honest'"):
        plan_eval("honest", config())
    with pytest.raises(UserError, match="no option 'x'"):
        plan_eval("honesty", config(options={"x": 1}))


def test_without_the_extra_a_line_says_what_to_install(
    config: Callable[..., EvalConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'accordant\[eval\]'"):
        plan_eval("honesty", config())
