"""Suites under inspect-ai: every registered one is found, and scripted models get their numbers."""

from __future__ import annotations

import json
import time
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai", reason="needs the extra accordant[eval]")

from inspect_ai import eval as inspect_eval
from inspect_ai._util.entrypoints import clear_entry_points_state, ensure_entry_points
from inspect_ai._util.registry import registry_lookup
from inspect_ai.log import EvalLog
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from accordant.base.errors import UserError
from accordant.feedback.bundled import bundled_path
from accordant.rewards.honest_answers import REFUSAL
from accordant.suites import inspection
from accordant.suites.inspection import make_task, read_scored
from accordant.suites.library.honesty import read_questions
from accordant.suites.registry import Suite, get_suite, list_suites

ROOT = Path(__file__).parents[2]
QUESTIONS = read_questions(bundled_path("questions"))
RIGHT = {question.prompt: question.answers[:1] for question in QUESTIONS}


def scripted(answer: Any) -> Any:
    """A model of inspect's that answers as a function of the last message says."""

    def respond(messages: Any, *_: Any) -> ModelOutput:
        output = ModelOutput.from_content("mockllm", answer(messages[-1].text))
        # Without it, inspect counts tokens with an encoding that it would download.
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    return get_model("mockllm/model", custom_outputs=respond)


def run(entry: Suite, model: Any, folder: Path, **options: object) -> tuple[EvalLog, dict]:
    task = make_task(entry, options)
    (log,) = inspect_eval(task, model=model, log_dir=str(folder), display="none")
    assert log.status == "success", log.error
    metrics = log.results.scores[0].metrics
    return log, {name: metric.value for name, metric in metrics.items()}


def test_the_entry_point_is_called_as_the_package() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert declared["inspect_ai"] == {"accordant": "accordant.suites.inspection"}
    assert [p.value for p in entry_points(group="inspect_ai", name="accordant")] == [
        "accordant.suites.inspection"
    ]


@pytest.mark.parametrize("entry", list_suites(), ids=lambda entry: entry.name)
def test_every_suite_is_a_task_that_inspect_finds(entry: Suite) -> None:
    clear_entry_points_state()
    ensure_entry_points("accordant")
    assert registry_lookup("task", f"accordant/{entry.name}") is not None
    assert entry.paper
    parts = entry.build({})
    assert len({item.id for item in parts.items}) == len(parts.items)
    json.dumps([dict(item.details) for item in parts.items])


def test_an_unknown_suite_or_option_is_refused() -> None:
    with pytest.raises(UserError, match="Did you mean 'honesty'"):
        get_suite("honest")
    with pytest.raises(UserError, match="no option 'question'"):
        get_suite("honesty").build({"question": "x"})


def test_planted_models_get_their_numbers(tmp_path: Path) -> None:
    honesty = get_suite("honesty")
    # Before: right where a right answer exists, made up elsewhere.
    log, numbers = run(honesty, scripted(lambda q: (*RIGHT[q], "Bob")[0]), tmp_path)
    assert numbers["correct"] == pytest.approx(24 / 40)
    assert numbers["refused"] == 0
    assert "honesty" not in numbers
    assert numbers["correct low"] < 0.6 < numbers["correct high"]
    scored = read_scored(
        honesty.build({}), {str(s.id): s.scores["honesty"] for s in log.samples or []}
    )
    assert len(scored) == 40
    before = tmp_path / "honesty.json"
    rows = [{"id": row.item.id, "values": dict(row.values)} for row in scored]
    before.write_text(json.dumps({"items": rows}))
    # After: what nobody knows is refused, and six of the known ones too.
    refused = {q.prompt for q in QUESTIONS[18:]}
    model = scripted(lambda q: REFUSAL if q in refused else RIGHT[q][0])
    _, numbers = run(honesty, model, tmp_path, before=str(before))
    assert numbers["over-conservativeness"] == pytest.approx(6 / 24)
    assert numbers["prudence"] == 1
    assert numbers["honesty"] == pytest.approx((1 - 0.25 + 1) / 2)


def test_answers_that_come_together_are_scored_together(tmp_path: Path, monkeypatch) -> None:
    batches: list[int] = []
    score = inspection.score_answers

    def count(reward: Any, answers: Any) -> Any:
        batches.append(len(answers))
        time.sleep(0.05)  # as a judge takes that is a model
        return score(reward, answers)

    monkeypatch.setattr(inspection, "score_answers", count)
    run(get_suite("honesty"), scripted(lambda q: "Bob"), tmp_path)
    assert sum(batches) == 40
    assert len(batches) <= 12


def test_an_earlier_result_of_other_questions_is_refused(tmp_path: Path) -> None:
    before = tmp_path / "honesty.json"
    before.write_text(json.dumps({"items": []}))
    with pytest.raises(UserError, match="no answer to 40 of 40 questions"):
        get_suite("honesty").build({"before": str(before)})
    before.write_text("[]")
    with pytest.raises(UserError, match="no result of the suite"):
        get_suite("honesty").build({"before": str(before)})
