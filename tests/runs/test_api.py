"""The verbs as functions: rows at hand give what files give, and scores are those of training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import accordant
from accordant.models.adapters import reference_mode
from tests.runs.test_align import ROWS, model, write_rows

__all__ = ["model"]  # a fixture

SETTINGS = {
    "quiet": True,
    "precision": "float32",
    "batch_size": 4,
    "held_out": 0.25,
    "sample_prompts": 2,
    "max_new_tokens": 6,
    "learning_rate": 1e-3,
    "lora_rank": 2,
}


def test_rows_records_and_a_file_are_one_feedback(tmp_path: Path) -> None:
    for kind, rows in ROWS.items():
        from_file = accordant.load_feedback(write_rows(tmp_path, kind))
        from_rows = accordant.load_feedback(rows)
        assert from_rows.records == from_file.records
        assert from_rows.record_type == from_file.record_type == kind
        again = accordant.load_feedback(list(from_file.records))
        assert (again.records, again.record_type) == (from_file.records, kind)
    assert str(from_rows.records[2].origin) == "memory, row 3"


def test_records_of_two_kinds_are_refused() -> None:
    records = [accordant.Comparison("a", "b", "c"), accordant.Binary("a", "b", label=True)]
    with pytest.raises(accordant.UserError, match="binary and comparison records"):
        accordant.load_feedback(records)


def test_a_row_or_a_setting_at_fault_is_named(model: Path) -> None:
    rows = [*ROWS["binary"], {"prompt": "what?", "completion": "it", "label": "perhaps"}]
    with pytest.raises(accordant.UserError, match="memory, row 17"):
        accordant.score(str(model), rows)
    with pytest.raises(accordant.UserError, match=r"no setting 'lerning_rate'.*learning_rate"):
        accordant.align(rows, str(model), lerning_rate=1.0)


def test_an_aligned_model_is_scored_as_the_report_did(tmp_path: Path, model: Path) -> None:
    rows = ROWS["comparison"]
    result = accordant.align(rows[:12], model, output_dir=tmp_path / "out", **SETTINGS)
    assert result.loaded is not None
    assert result.folder is not None
    in_memory = accordant.score(result, rows, reference=str(model), beta=0.5)
    saved = accordant.score(result.folder, rows, precision="float32")
    assert saved.logps == [pytest.approx(row, abs=1e-4) for row in in_memory.logps]
    with reference_mode(result.model):
        start = accordant.score(result, rows)
    for row, before, rewards, margin in zip(
        in_memory.logps, start.logps, in_memory.rewards, in_memory.margins, strict=True
    ):
        expected = [0.5 * (a - b) for a, b in zip(row, before, strict=True)]
        assert rewards == pytest.approx(expected, abs=1e-4)
        assert margin == pytest.approx(expected[0] - expected[1], abs=1e-4)
    with pytest.raises(accordant.UserError, match="reference"):
        _ = saved.rewards
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["held_out"]["count"] == result.outcome.held_out
    assert [f.check for f in result.findings] == [f["check"] for f in report["findings"]]


def test_answers_repeat_with_their_seed_and_read_like_those_of_rewards(model: Path) -> None:
    prompts = ["what is 3?", [{"role": "user", "content": "what is 3?"}]]
    drawn = [accordant.sample(model, prompts, samples=2, max_new_tokens=5) for _ in range(2)]
    assert drawn[0] == drawn[1]
    # The same tokens: a text is a conversation of one message.
    assert drawn[0][0][0].prompt_tokens == drawn[0][1][0].prompt_tokens
    values = accordant.score_answers(accordant.find_reward("shorter"), drawn[0][0]).values
    assert values.shape == (2, 1)


def test_checks_read_rows_at_hand(tmp_path: Path) -> None:
    rows = [*ROWS["comparison"], ROWS["comparison"][0]]
    checked = accordant.check(rows, output_dir=tmp_path, quiet=True, only=["duplicates"])
    assert [finding.check for finding in checked.findings] == ["duplicates"]
    assert checked.findings[0].raised
    assert checked.report == tmp_path / "check.html"
