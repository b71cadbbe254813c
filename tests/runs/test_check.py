"""Whole checks on a tiny model: what is run, what is not, what is written."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from accordant.base.errors import UserError
from accordant.checks import registry
from accordant.checks.findings import Outcome
from accordant.checks.inputs import CheckInputs
from accordant.checks.passes import Pass, count_tokens
from accordant.checks.registry import check, list_checks
from accordant.feedback.kinds import KINDS
from accordant.runs.check import measure_speed, plan_check, run_check
from accordant.runs.check_report import CheckResults
from accordant.runs.settings import CheckConfig
from accordant.statistics.interval import Interval
from tests.runs.test_align import ROWS, write_rows
from tests.runs.test_chat import loaded_model

DATA_CHECKS = ("duplicates", "contradictions", "length-bias", "boundaries", "truncation")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    loaded = loaded_model()
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def only_these(monkeypatch: pytest.MonkeyPatch) -> dict[str, registry.Check]:
    """A registry that a test may fill, with the real checks beside."""
    known = {one.name: one for one in list_checks()}
    monkeypatch.setattr(registry, "_registered", dict(known))
    monkeypatch.setattr(registry, "_load_all", lambda: None)
    return registry._registered


def made() -> Outcome:
    return Outcome("looks", Interval(1.0, 1.0, 1.0, 1), "It looked.")


def settings(tmp_path: Path, model: object, kind: str = "comparison", **more: Any) -> CheckConfig:
    values = {
        "data": str(write_rows(tmp_path, kind)),
        "model": str(model),
        "precision": "float32",
        "output_dir": tmp_path / "out",
    }
    return CheckConfig(**(values | more))


def run(config: CheckConfig) -> tuple[CheckResults, str]:
    text = io.StringIO()
    report, _ = run_check(config, Console(file=text, width=200))
    return report, text.getvalue()


@pytest.mark.parametrize("kind", sorted(ROWS))
def test_all_checks_that_apply_run_on_every_kind_of_feedback(tmp_path, model, kind):
    report, text = run(settings(tmp_path, model, kind))
    done = {finding.check for finding in report.findings}
    left = {one.check: one.reason for one in report.not_run}
    due = {one.name for one in list_checks() if one.when != "during"}
    assert done | left.keys() == due
    assert not done & left.keys()
    for one in list_checks("before"):
        if not one.applies_to(kind):
            assert kind in left[one.name] or f"{kind} records" in left[one.name]
    data = json.loads((tmp_path / "out" / "check.json").read_text())
    assert {finding["check"] for finding in data["findings"]} == done
    assert set(data["seconds"]) >= done
    assert "<html" in (tmp_path / "out" / "check.html").read_text()
    assert set(text.partition(" checks: ")[2].splitlines()[0].split(", ")) >= done


def test_without_a_model_no_weights_are_looked_for(tmp_path):
    report, text = run(settings(tmp_path, "none"))
    left = {one.check: one.reason for one in report.not_run}
    assert left["boundaries"] == "it needs a model"
    assert left["leakage"].startswith("it needs --held-out-data")
    assert report.model is None
    assert "loading" not in text


def test_only_and_skip_choose(tmp_path, model):
    plan = plan_check(settings(tmp_path, model, only=("duplicates", "truncation"))).plan()
    assert plan["checks"] == ["duplicates", "truncation"]
    assert plan["tokens"] == 0
    plan = plan_check(settings(tmp_path, model, only=("duplicates",), skip=("ches",))).plan()
    assert plan["checks"] == ["duplicates"]
    plan = plan_check(settings(tmp_path, model, skip=("duplicates",))).plan()
    assert "duplicates" not in plan["checks"]
    assert plan["not_run"]["duplicates"] == "left out by --skip"


def test_what_cannot_be_run_is_an_error_where_it_was_asked_for(tmp_path, model):
    with pytest.raises(UserError, match="cannot be run: it needs --held-out-data"):
        plan_check(settings(tmp_path, model, only=("leakage",)))
    with pytest.raises(UserError, match="no check 'duplicate'"):
        plan_check(settings(tmp_path, model, skip=("duplicate",)))
    with pytest.raises(UserError, match="no check is left"):
        plan_check(settings(tmp_path, "none", skip=tuple(one.name for one in list_checks())))
    with pytest.raises(UserError, match="no feedback was named"):
        plan_check(CheckConfig())


def test_options_reach_their_check_and_misspelt_ones_are_refused(tmp_path, model):
    ready = plan_check(
        settings(tmp_path, model, only=("duplicates",), options={"duplicates.similarity": "0.5"})
    )
    assert ready.options["duplicates"]["similarity"] == 0.5
    with pytest.raises(UserError, match="similarity"):
        plan_check(settings(tmp_path, model, options={"duplicates.similar": 0.5}))
    with pytest.raises(UserError, match=r"CHECK\.OPTION"):
        plan_check(settings(tmp_path, model, options={"similarity": 0.5}))


def test_a_pass_that_checks_share_is_counted_and_made_once(tmp_path, model, only_these):
    passes = []
    shared = Pass(
        "shared", lambda inputs: passes.append(inputs.model), count_tokens, needs=("model",)
    )
    for name in ("first", "second"):

        @check(name=name, title=name, when="before", reads=(shared,))
        def look(inputs: CheckInputs, _: None) -> Outcome:
            """Looks."""
            return made()

    config = settings(tmp_path, model, only=("first", "second"))
    ready = plan_check(config)
    plan = ready.plan()
    assert plan["tokens"] == count_tokens(ready.inputs) > 0
    report, text = run(config)
    assert len(passes) == 1
    assert passes[0] is not None
    assert {finding.check for finding in report.findings} == {"first", "second"}
    assert f"{plan['tokens']:,} tokens" in text


def test_the_speed_is_that_of_the_model(tmp_path, model):
    from accordant.models.loading import load_model
    from accordant.scoring.installation import install

    ready = plan_check(settings(tmp_path, model, only=("truncation",)))
    loaded = install(load_model(str(model), dtype="float32", device="cpu").model)
    assert measure_speed(CheckInputs(ready.inputs.feedback, model=loaded)) == 0
    assert measure_speed(replace(ready.inputs, model=loaded)) > 10


def test_filtered_feedback_is_what_checks_left(tmp_path, model):
    rows = [*ROWS["comparison"], ROWS["comparison"][3], ROWS["comparison"][5]]
    source, target = tmp_path / "twice.jsonl", tmp_path / "clean.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = settings(tmp_path, model, data=str(source), only=("duplicates",), filter=target)
    report, text = run(config)
    assert target.read_text() == "".join(json.dumps(row) + "\n" for row in ROWS["comparison"])
    assert report.filtered == {
        "file": str(target),
        "kept": 16,
        "dropped": 2,
        "unreadable": 0,
        "by_check": {"duplicates": 2},
    }
    assert "16 rows kept, 2 left out" in text
    with pytest.raises(UserError, match="exists"):
        run(config)
    run(config.model_copy(update={"overwrite": True}))


def test_the_filtered_file_is_checked_before_anything_runs(tmp_path):
    source = write_rows(tmp_path, "comparison")
    with pytest.raises(UserError, match="the feedback itself"):
        plan_check(settings(tmp_path, "none", filter=source, overwrite=True))


def test_rows_that_cannot_become_tokens_or_are_too_long_do_not_stop_a_check(tmp_path, model):
    rows = [dict(row) for row in ROWS["comparison"]]
    rows[2]["chosen"] = "it ends <end> here"
    rows[4]["prompt"] = "why " * 150
    source = tmp_path / "bad.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ready = plan_check(settings(tmp_path, model, data=str(source)))
    inputs = ready.inputs
    assert set(inputs.refused) == {2}
    assert [one.index for one in inputs.too_long] == [4]
    kept = [one.index for one in inputs.encoded.examples]
    assert kept == [n for n in range(16) if n not in (2, 4)]
    plain = plan_check(settings(tmp_path, model))
    trees = {one.index: one.trees for one in plain.inputs.encoded.examples}
    assert all(one.trees == trees[one.index] for one in inputs.encoded.examples)
    report, text = run(settings(tmp_path, model, data=str(source), only=DATA_CHECKS))
    found = {finding.check: finding for finding in report.findings}
    assert [origin.row for origin in found["boundaries"].drop] == [3]
    assert [origin.row for origin in found["truncation"].drop] == [5]
    assert "1 records are longer than 400 tokens" in text


def test_held_out_feedback_is_read_from_a_file_or_a_split(tmp_path, model):
    folder = tmp_path / "splits"
    folder.mkdir()
    for name, rows in (("train", ROWS["comparison"][:12]), ("test", ROWS["comparison"][10:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    of_split = settings(
        tmp_path, "none", data=str(folder), held_out_split="test", only=("leakage",)
    )
    report, _ = run(of_split)
    (finding,) = report.findings
    assert finding.number.estimate == 2 / 6
    assert sorted(origin.row for origin in finding.drop) == [11, 12]
    of_file = of_split.model_copy(
        update={"held_out_data": str(folder / "test.jsonl"), "held_out_split": None}
    )
    again, _ = run(of_file)
    assert again.findings[0].number == finding.number


@pytest.mark.parametrize("kind", sorted(ROWS))
def test_all_checks_of_a_trained_model_run_on_every_kind_of_feedback(tmp_path, model, kind):
    small = {"prompts": 2, "samples": 3, "max_new_tokens": 4}
    config = settings(
        tmp_path,
        model,
        kind,
        reference=str(model),
        options={
            f"{name}.{key}": value
            for name in ("frontier", "reward-curve", "probability-moved")
            for key, value in small.items()
            if name != "probability-moved" or kind in ("comparison", "joint_pair", "ranking")
        },
    )
    report, text = run(config)
    done = {finding.check for finding in report.findings}
    due = {one.name for one in list_checks("after") if one.applies_to(kind)}
    left = {one.check for one in report.not_run}
    assert due <= done | left
    assert {"frontier", "reward-curve"} <= done
    assert "3 to each of 2 prompts" in text


def test_a_judge_of_ones_own_scores_sampled_answers(tmp_path, model):
    judge = tmp_path / "judge.py"
    judge.write_text(
        "def vowels(prompt, text, finished):\n    return sum(text.count(v) for v in 'aeiou')\n"
    )
    config = settings(
        tmp_path,
        model,
        reference=str(model),
        only=("frontier",),
        judge=f"{judge}:vowels",
        options={"frontier.prompts": 3, "frontier.samples": 3, "frontier.max_new_tokens": 4},
    )
    report, _ = run(config)
    assert "judge.py:vowels" in report.findings[0].sentence
    with pytest.raises(UserError, match="no judge"):
        plan_check(config.model_copy(update={"judge": "nobody"}))


def test_with_a_reference_the_checks_of_after_training_are_those_that_run(
    tmp_path, model, only_these
):
    seen = []

    both = Pass(
        "both",
        lambda inputs: seen.append((inputs.model, inputs.reference)),
        lambda inputs: 2.0 * count_tokens(inputs),
        needs=("model", "reference"),
    )

    @check(name="moved", title="Moved", when="after", reads=(both,))
    def moved(inputs: CheckInputs, _: None) -> Outcome:
        """Looks at both."""
        return made()

    plan = plan_check(settings(tmp_path, model)).plan()
    assert "(--reference)" in plan["not_run"]["moved"]
    config = settings(tmp_path, model, reference=str(model), only=("moved", "duplicates"))
    plan = plan_check(config).plan()
    assert plan["checks"] == ["duplicates", "moved"]
    whole = plan_check(settings(tmp_path, model, reference=str(model))).plan()
    assert "without --reference" in whole["not_run"]["ches"]
    report, _ = run(config)
    assert report.reference == str(model)
    ((trained, start),) = seen
    assert trained is not None
    assert start is not None
    assert trained is not start


def test_models_with_different_tokenizers_are_not_compared(tmp_path, model, only_these):
    both = Pass("both", lambda _: None, lambda _: 0.0, needs=("reference", "model"))

    @check(name="moved", title="Moved", when="after", reads=(both,))
    def moved(inputs: CheckInputs, _: None) -> Outcome:
        """Looks at both."""
        return made()

    other = tmp_path / "other"
    loaded = loaded_model(template="{% for m in messages %}{{ m['content'] }}<end>{% endfor %}")
    loaded.tokenizer.add_tokens(["zz"])
    loaded.model.save_pretrained(other)
    loaded.tokenizer.save_pretrained(other)
    with pytest.raises(UserError, match="different tokenizers"):
        run(settings(tmp_path, model, reference=str(other), only=("moved",)))


def test_every_record_type_is_either_checked_or_says_why_not():
    for kind in KINDS:
        assert [one.name for one in list_checks("before") if one.applies_to(kind)]
