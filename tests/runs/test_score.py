"""`accordant score`: lines are what training sees, whole files, and go on after a kill."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import accordant
from accordant.base.errors import UserError
from accordant.runs import score as score_verb
from accordant.runs.score import plan_score, run_score
from accordant.runs.settings import ScoreConfig
from tests.runs.test_align import ROWS, model, write_rows

__all__ = ["model"]  # a fixture


def config_of(folder: Path, model: Path, kind: str = "comparison", **given: Any) -> ScoreConfig:
    return ScoreConfig(
        data=str(write_rows(folder, kind)), model=str(model), precision="float32", **given
    )


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.mark.parametrize("kind", ROWS)
def test_lines_hold_what_training_sees(tmp_path: Path, model: Path, kind: str) -> None:
    output = tmp_path / "scores.jsonl"
    config = config_of(tmp_path, model, kind, output=output, reward="shorter", beta=0.5)
    run_score(config.model_copy(update={"reference": str(model)}), quiet())
    lines = lines_of(output)
    expected = accordant.score(model, ROWS[kind], precision="float32").logps
    assert [line["row"] for line in lines] == list(range(1, 17))
    for line, logps in zip(lines, expected, strict=True):
        answers = line["answers"]
        assert [a["logp"] for a in answers] == pytest.approx(logps, abs=1e-4)
        # The reference is the model itself, so nothing has changed.
        assert [a["implicit_reward"] for a in answers] == pytest.approx([0] * len(logps), abs=1e-5)
        assert [a["reference_logp"] for a in answers] == pytest.approx(logps, abs=1e-4)
        assert [[*a["reward"].values()] for a in answers] == [
            [-len(a["text"].split())] for a in answers
        ]
        assert ("margin" in line) == (kind in ("comparison", "joint_pair"))


def test_a_judged_answer_is_scored_in_both_of_its_readings(tmp_path: Path, model: Path) -> None:
    rows = [{"prompt": "what is 3?", "completion": "it is 3", "judgment": "right"}]
    data = tmp_path / "judged.jsonl"
    data.write_text(json.dumps(rows[0]) + "\n")
    config = ScoreConfig(data=str(data), model=str(model), output=tmp_path / "scores.jsonl")
    run_score(config, quiet())
    (line,) = lines_of(tmp_path / "scores.jsonl")
    assert [a["name"] for a in line["answers"]] == ["answer after the judgment", "answer"]


def test_a_killed_run_goes_on_and_ends_with_the_same_file(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_verb, "CHUNK", 4)
    whole = config_of(tmp_path, model, output=tmp_path / "whole.jsonl")
    run_score(whole, quiet())
    killed = whole.model_copy(update={"output": tmp_path / "killed.jsonl", "resume": True})
    compute, calls = score_verb._score, []

    def dies_in_the_third(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(*given)

    monkeypatch.setattr(score_verb, "_score", dies_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_score(killed, quiet())
    assert not (tmp_path / "killed.jsonl").exists()
    partial = tmp_path / ".killed.jsonl.partial"
    partial.write_text(partial.read_text() + '{"half a li')
    with pytest.raises(UserError, match="other settings"):
        plan_score(killed.model_copy(update={"beta": 0.3}))
    console = quiet()
    run_score(killed, console)
    assert "going on after 8 records" in console.file.getvalue()  # type: ignore[attr-defined]
    assert (tmp_path / "killed.jsonl").read_text() == (tmp_path / "whole.jsonl").read_text()
    assert not partial.exists()
    assert len(calls) == 3 + 2
    with pytest.raises(UserError, match="nothing is left to do"):
        plan_score(killed)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"output": "no/folder/scores.jsonl"}, "its folder is not there"),
        ({"reward": "rule:no-such-rule"}, "--reward"),
        ({"reference": "no-such-folder"}, "no-such-folder"),
        ({"max_length": 3}, "longer"),
    ],
)
def test_what_is_wrong_is_said_before_weights_are_loaded(
    tmp_path: Path, model: Path, given: dict[str, Any], message: str
) -> None:
    if "output" in given:
        given = {"output": tmp_path / given["output"]}
    with pytest.raises(UserError, match=message):
        plan_score(config_of(tmp_path, model, **given))
