"""A kind of feedback takes two records: that of the guide is trained on, measured and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from accordant.base.errors import UserError
from accordant.checks.texts import passages_of
from accordant.feedback.kinds import KINDS, preferences_of
from accordant.feedback.loading import load_feedback
from accordant.feedback.splitting import split_feedback
from accordant.objectives.feedback import check_feedback
from accordant.objectives.kinds import SCORED_KINDS
from accordant.objectives.registry import get_objective, temporary_objectives
from tests.kinds import restored
from tests.runs.test_align import ROWS, run
from tests.runs.test_chat import loaded_model
from tests.test_docs import ROOT, blocks


@pytest.fixture
def edits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kind, the scores and the loss of the guide, and rows of it."""
    rows = [{"prompt": f"what is {n}?", "draft": f"{n} {n}", "edited": f"{n}"} for n in range(16)]
    monkeypatch.setitem(ROWS, "edit", rows)
    with restored(KINDS, SCORED_KINDS), temporary_objectives():
        names: dict[str, object] = {}
        for _, code in blocks(ROOT / "docs" / "adding-a-kind.md")[:3]:
            exec(compile(code, "adding-a-kind", "exec"), names)
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    loaded = loaded_model()
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.usefixtures("edits")
def test_a_new_kind_is_trained_on_and_measured_on_held_out_records(
    tmp_path: Path, model: Path
) -> None:
    outcome, _ = run(tmp_path, model, "edit")
    assert (outcome.method, outcome.train, outcome.held_out) == ("imitate_edits", 12, 4)
    held_out = json.loads((tmp_path / "out" / "report.json").read_text())["held_out"]
    assert (held_out["kind"], held_out["count"]) == ("edit", 4)
    assert len(held_out["gain"]["values"]) == 4
    assert held_out["edited"]["change"]["estimate"] > 0


@pytest.mark.usefixtures("edits")
def test_every_room_reads_a_new_kind(tmp_path: Path) -> None:
    file = tmp_path / "edits.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS["edit"]))
    feedback = load_feedback(str(file))
    first = feedback.records[0]
    assert preferences_of(first) == (("0", "0 0"),)
    assert [passage.label for passage in passages_of(first)] == ["prompt", "edited", "draft"]
    train, held_out = split_feedback(feedback, 4)
    assert (len(train.records), len(held_out.records)) == (12, 4)
    with pytest.raises(UserError, match="take `edited` as `completion`"):
        check_feedback(get_objective("sft"), {"edit"})


def test_kinds_are_gone_with_whoever_put_them_there() -> None:
    assert "edit" not in KINDS
    assert "edit" not in SCORED_KINDS
    assert set(SCORED_KINDS) < set(KINDS)
