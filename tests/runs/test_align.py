"""Whole align runs on a tiny model, for every kind of feedback that has an objective."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from transformers import AutoModelForCausalLM, AutoTokenizer, MambaConfig, MambaForCausalLM

from accordant.base.errors import UserError
from accordant.models.loading import load_tokenizer
from accordant.runs.align.execute import AlignOutcome, run_align
from accordant.runs.align.prepare import prepare
from accordant.runs.settings import AlignConfig
from accordant.training.arguments import save_interval
from tests.runs.test_chat import loaded_model

ROWS: dict[str, list[dict[str, Any]]] = {
    "comparison": [
        {"prompt": f"what is {n}?", "chosen": f"it is {n}", "rejected": f"{n} {n} and so on"}
        for n in range(16)
    ],
    "binary": [
        {"prompt": f"what is {n}?", "completion": f"it is {n}", "label": n % 2 == 0}
        for n in range(16)
    ],
    "ranking": [
        {"prompt": f"what is {n}?", "completions": [f"it is {n}", f"{n}", f"{n} and so on"]}
        for n in range(16)
    ],
    "demonstration": [{"prompt": f"what is {n}?", "completion": f"it is {n}"} for n in range(16)],
    "joint_pair": [
        {
            "chosen_prompt": f"what is {n}?",
            "chosen": f"it is {n}",
            "rejected_prompt": f"say {n}",
            "rejected": f"{n} {n} and so on",
        }
        for n in range(16)
    ],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    loaded = loaded_model()
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


def write_rows(folder: Path, kind: str) -> Path:
    file = folder / f"{kind}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS[kind]))
    return file


def run(
    folder: Path, model: Path, kind: str = "comparison", **settings: Any
) -> tuple[AlignOutcome, str]:
    config = AlignConfig(
        **{
            "data": str(write_rows(folder, kind)),
            "model": str(model),
            "output_dir": folder / "out",
            "precision": "float32",
            "batch_size": 4,
            "held_out": 0.25,
            "sample_prompts": 2,
            "max_new_tokens": 6,
            "learning_rate": 1e-3,
            **settings,
        }
    )
    text = io.StringIO()
    outcome = run_align(config, console=Console(file=text, width=120)).outcome
    return outcome, text.getvalue()


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("comparison", "dpo"),
        ("binary", "kto"),
        ("ranking", "plackett_luce"),
        ("demonstration", "sft"),
        ("joint_pair", "dove"),
    ],
)
@pytest.mark.parametrize("rank", [0, 4])
def test_every_kind_of_feedback_is_trained_on_saved_and_measured(
    tmp_path: Path, model: Path, kind: str, method: str, rank: int
) -> None:
    outcome, text = run(tmp_path, model, kind, lora_rank=rank)
    assert (outcome.method, outcome.train, outcome.held_out, outcome.steps) == (method, 12, 4, 3)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    # A joint pair is measured as a comparison.
    assert report["held_out"]["kind"] == {"joint_pair": "comparison"}.get(kind, kind)
    assert report["held_out"]["count"] == 4
    assert len(report["win_rates"][0]["rows"]) == 2
    assert report["kl"]["sequences"] == 2
    assert report["data"]["read"] == 16
    assert "<html" in (tmp_path / "out" / "report.html").read_text()
    assert outcome.summary in " ".join(text.split())
    checks = {finding["check"] for finding in report["findings"]}
    pairs = {"displacement", "reward-calibration", "probe-entanglement"}
    assert checks == {"drift", "over-optimisation"} | (pairs if kind == "comparison" else set())
    assert (tmp_path / "out" / "watch.json").is_file()
    saved = {file.name for file in (tmp_path / "out" / "model").iterdir()}
    assert {"README.md", "tokenizer.json", "generation_config.json"} <= saved
    assert ("adapter_model.safetensors" if rank else "model.safetensors") in saved


def test_a_family_that_shares_no_prompt_is_trained_and_its_plan_says_so(
    tmp_path: Path, model: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model)
    config = MambaConfig(
        vocab_size=len(tokenizer), hidden_size=16, state_size=4, num_hidden_layers=1
    )
    MambaForCausalLM(config).save_pretrained(tmp_path / "mamba")
    tokenizer.save_pretrained(tmp_path / "mamba")
    outcome, text = run(tmp_path, tmp_path / "mamba", max_steps=1)
    assert outcome.steps == 1
    assert "prompts are not shared: it carries a running state" in " ".join(text.split())
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()


def test_a_finding_is_said_at_once_and_stops_the_run(tmp_path: Path, model: Path) -> None:
    settings = {"learning_rate": 1.0, "warmup": 0.0, "eval_steps": 1, "max_steps": 6}
    outcome, text = run(tmp_path, model, **settings, stop_on="warning")
    assert outcome.steps < 6
    assert "(--stop-on)" in text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    raised = [one for one in report["findings"] if one["severity"] in ("warning", "serious")]
    assert raised
    assert all(one["title"] in (tmp_path / "out" / "report.html").read_text() for one in raised)
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()


def test_stopping_at_findings_of_a_run_that_is_not_watched_is_refused(
    tmp_path: Path, model: Path
) -> None:
    with pytest.raises(UserError, match="not watched"):
        run(tmp_path, model, watch=False, stop_on="warning")
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_not_watched_says_nothing_and_ends_in_the_same_weights(
    tmp_path: Path, model: Path
) -> None:
    for name, watch in (("a", False), ("b", True)):
        (tmp_path / name).mkdir()
        run(tmp_path / name, model, watch=watch)
    one, other = (tmp_path / name / "out" for name in "ab")
    assert json.loads((one / "report.json").read_text())["findings"] == []
    assert not (one / "watch.json").exists()
    file = "model/model.safetensors"
    assert (one / file).read_bytes() == (other / file).read_bytes()


def test_joint_preferences_train_the_prompts_too(tmp_path: Path, model: Path) -> None:
    conditional, _ = run(tmp_path, model, "joint_pair", output_dir=tmp_path / "a")
    joint, _ = run(
        tmp_path, model, "joint_pair", output_dir=tmp_path / "b", method="dove_joint", lora_rank=4
    )
    assert joint.tokens == conditional.tokens
    logps = [json.loads((tmp_path / name / "report.json").read_text())["held_out"] for name in "ab"]
    assert logps[0] != logps[1]


@pytest.mark.parametrize(
    ("method", "details"),
    [
        ("irepo", {"votes": [3, 1]}),
        ("mm_dpo", {"score_chosen": 8.0, "score_rejected": 5.5}),
        ("mm_dpo", {"margin": 1.5}),
    ],
)
def test_votes_and_scores_reach_the_loss(
    tmp_path: Path, model: Path, method: str, details: dict[str, Any]
) -> None:
    file = tmp_path / "graded.jsonl"
    rows = [row | details for row in ROWS["comparison"]]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome, text = run(tmp_path, model, data=str(file), method=method)
    assert outcome.steps == 3
    assert "columns not used" not in text


@pytest.mark.parametrize("method", ["irepo", "mm_dpo"])
def test_feedback_without_the_details_a_method_needs_is_refused_before_a_model_is_looked_for(
    tmp_path: Path, method: str
) -> None:
    with pytest.raises(UserError, match=f"'{method}' needs") as error:
        run(tmp_path, tmp_path / "no model here", method=method)
    assert "Add columns" in error.value.mend


def test_a_loss_on_the_policys_own_samples_is_refused_on_a_file(
    tmp_path: Path, model: Path
) -> None:
    with pytest.raises(UserError, match="answers the policy gives as it is") as error:
        run(tmp_path, model, "ranking", method="f_dpg", dry_run=True)
    assert error.value.where == "--method"
    assert "Use it in a loop" in error.value.mend
    assert "copg" in error.value.mend
    assert "f_dpg" not in error.value.mend


def test_a_run_is_not_resumed_on_other_votes(tmp_path: Path, model: Path) -> None:
    file = tmp_path / "votes.jsonl"

    def write(votes: list[int]) -> None:
        rows = [row | {"votes": votes} for row in ROWS["comparison"]]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    write([3, 1])
    run(tmp_path, model, data=str(file), method="irepo", save_steps=1)
    write([3, 0])
    with pytest.raises(UserError, match="labels"):
        run(tmp_path, model, data=str(file), method="irepo", save_steps=1, resume=True)


def test_the_saved_model_is_the_trained_one(tmp_path: Path, model: Path) -> None:
    run(tmp_path, model)
    before = AutoModelForCausalLM.from_pretrained(model).state_dict()
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model").state_dict()
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_the_same_seed_gives_the_same_weights(tmp_path: Path, model: Path) -> None:
    weights = []
    for name in ("one", "two"):
        run(tmp_path, model, output_dir=tmp_path / name, reference="online")
        trained = AutoModelForCausalLM.from_pretrained(tmp_path / name / "model")
        weights.append(trained.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_dry_run_plans_and_loads_no_weights(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", refuse)
    outcome, text = run(tmp_path, model, dry_run=True)
    assert outcome.dry_run
    assert outcome.memory_bytes > 0
    assert "12 examples, 4 held out" in text
    assert "memory about" in text
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_what_an_earlier_run_left_is_not_overwritten(tmp_path: Path, model: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        run(tmp_path, model)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_skipped_rows_are_told_and_reported(tmp_path: Path, model: Path) -> None:
    data = write_rows(tmp_path, "comparison")
    with data.open("a") as file:
        file.write('{"prompt": "a", "chosen": "", "rejected": "b"}\n')
    bad = tmp_path / "bad.jsonl"
    data.rename(bad)
    _, text = run(tmp_path, model, data=str(bad), on_bad_row="skip", sample_prompts=0)
    assert "Skipped 1 of 17 rows" in text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [(e["action"], e["count"]) for e in report["data"]["exclusions"]] == [("skipped", 1)]
    assert report["data"]["read"] == 17


def test_without_held_out_rows_the_report_says_what_it_can(tmp_path: Path, model: Path) -> None:
    outcome, _ = run(tmp_path, model, held_out=0.0)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["held_out"] is None
    assert outcome.held_out == 0


def test_a_judge_from_a_file_is_asked(tmp_path: Path, model: Path) -> None:
    judge = tmp_path / "mine.py"
    judge.write_text("def vowels(prompt, text, finished):\n    return text.count('a')\n")
    run(tmp_path, model, judge=f"{judge}:vowels")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["win_rates"][0]["judge"].endswith("mine.py:vowels")


def test_a_judge_that_compares_with_the_start_is_given_its_answers(
    tmp_path: Path, model: Path
) -> None:
    run(tmp_path, model, judge="lsc(shorter) + 0.5*cdf(finished)")
    (rate,) = json.loads((tmp_path / "out" / "report.json").read_text())["win_rates"]
    assert rate["judge"] == "lsc(shorter) + 0.5*cdf(finished)"
    assert "8 answers of the reference to each prompt" in rate["description"]
    assert rate["score_after"]["estimate"] < 0.5


def test_the_bundled_feedback_is_sound_and_shares_no_prompt(tmp_path: Path, model: Path) -> None:
    ready = prepare(
        AlignConfig(
            data="bundled", model=str(model), output_dir=tmp_path / "out", truncation="drop"
        )
    )
    assert ready.held_out is not None
    train, held_out = ({r.prompt for r in part.records} for part in (ready.train, ready.held_out))
    assert not train & held_out
    assert len(ready.train.records) + len(ready.held_out.records) > 300
    assert ready.judge.name == "rule:concise"


def decoded(config: AlignConfig) -> str:
    ready = prepare(config)
    return str(ready.session.tokenizer.decode(ready.encoded.examples[0].trees[0].prompt))


def test_rendering_options_reach_the_tokens_and_the_saved_model(
    tmp_path: Path, model: Path
) -> None:
    data = str(write_rows(tmp_path, "comparison"))
    common = {"data": data, "model": str(model), "output_dir": tmp_path / "out"}
    assert "be brief" in decoded(AlignConfig(**common, system_prompt="be brief"))
    assert decoded(AlignConfig(**common, chat="never", limit=4)).startswith("what is")
    template = tmp_path / "mine.jinja"
    template.write_text(
        "{% for m in messages %}{{ m.role }} is {{ m.content }}"
        "{% if m.role == 'assistant' %}<|im_end|>{% endif %}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant is {% endif %}"
    )
    assert decoded(AlignConfig(**common, chat_template=template)).startswith("user is what is")
    run(tmp_path, model, chat_template=template, sample_prompts=0)
    saved = load_tokenizer(str(tmp_path / "out"))
    assert saved.chat_template == template.read_text()


def test_a_template_that_cannot_be_read_is_named(tmp_path: Path, model: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jinja"):
        run(tmp_path, model, chat_template=tmp_path / "none.jinja")


def test_a_file_named_after_another_split_is_read(tmp_path: Path, model: Path) -> None:
    data = write_rows(tmp_path, "comparison").rename(tmp_path / "test.jsonl")
    outcome, _ = run(tmp_path, model, data=str(data), dry_run=True, limit=8)
    assert outcome.train + outcome.held_out == 8


def test_another_seed_holds_out_other_prompts_unless_told_otherwise(
    tmp_path: Path, model: Path
) -> None:
    def held_out(**settings: Any) -> set[Any]:
        config = AlignConfig(
            data=str(write_rows(tmp_path, "comparison")),
            model=str(model),
            output_dir=tmp_path / "out",
            held_out=0.25,
            **settings,
        )
        part = prepare(config).held_out
        assert part is not None
        return {record.prompt for record in part.records}

    assert held_out(seed=0) != held_out(seed=1)
    assert held_out(seed=0) == held_out(seed=1, held_out_seed=0)


@pytest.mark.parametrize("method", ["kto", "bco"])
@pytest.mark.parametrize("rows", [2, 3, 14])
def test_few_thumbs_are_trained_on(tmp_path: Path, model: Path, method: str, rows: int) -> None:
    file = tmp_path / "thumbs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS["binary"][:rows]))
    outcome, text = run(tmp_path, model, data=str(file), method=method, held_out=0.1)
    assert outcome.train + outcome.held_out == rows
    assert ("nothing is held out" in text) == (outcome.held_out == 0)


def test_thumbs_of_one_direction_are_refused_before_training(tmp_path: Path, model: Path) -> None:
    file = tmp_path / "thumbs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS["binary"][::2]))
    with pytest.raises(UserError, match="`label` is true in all 8 records"):
        run(tmp_path, model, data=str(file))
    assert not (tmp_path / "out").exists()


def test_resuming_a_run_that_has_ended_replaces_nothing(tmp_path: Path, model: Path) -> None:
    first, _ = run(tmp_path, model)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    again, text = run(tmp_path, model, resume=True)
    assert "has ended after 3 steps; nothing is replaced" in " ".join(text.split())
    assert (again.model, again.report, again.steps) == (first.model, first.report, first.steps)
    with pytest.raises(UserError, match=r"ended with other settings \(options was .*0.1.*0.5"):
        run(tmp_path, model, resume=True, options={"beta": 0.5})
    assert kept == {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    _, text = run(tmp_path, model, overwrite=True, options={"beta": 0.5})
    assert "step 3/3" in text


def test_resuming_without_a_checkpoint_says_so_and_spares_a_model(
    tmp_path: Path, model: Path
) -> None:
    _, text = run(tmp_path, model, resume=True, report=False)
    assert "no checkpoint yet: starting at step 1" in text
    (tmp_path / "out" / "ended.json").unlink()
    for checkpoint in (tmp_path / "out").glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    with pytest.raises(UserError, match="no checkpoint to go on from"):
        run(tmp_path, model, resume=True)


def test_a_short_run_has_about_ten_checkpoints() -> None:
    interval = [save_interval(AlignConfig(), steps) for steps in (1, 20, 26, 100, 5000, 50000)]
    assert interval == [1, 2, 3, 10, 500, 500]
    assert save_interval(AlignConfig(save_steps=7), 26) == 7


def test_a_test_file_in_the_folder_is_named(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train", "test"):
        write_rows(folder, "comparison").rename(folder / f"{name}.jsonl")
    _, text = run(tmp_path, model, data=str(folder), dry_run=True)
    assert f"not used: {folder / 'test.jsonl'}" in "".join(text.splitlines())
    held_out = str(folder / "test.jsonl")
    _, text = run(tmp_path, model, data=str(folder), held_out_data=held_out, dry_run=True)
    assert "not used" not in text
