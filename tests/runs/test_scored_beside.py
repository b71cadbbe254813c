"""Whole align runs that need more than scores of the records' answers: judgments, baselines,
the start model's own answers, goals."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn
from transformers import AutoModelForCausalLM

from accordant.base.errors import UserError
from accordant.models.loading import load_model, load_tokenizer
from accordant.objectives.preparations import Baselines
from accordant.runs.align.execute import AlignOutcome, run_align
from accordant.runs.align.prepare import Prepared, prepare
from accordant.runs.settings import AlignConfig
from accordant.scoring.engine import score
from accordant.scoring.installation import install
from accordant.tokens.examples import Example
from accordant.tokens.rendering import Rendering
from accordant.training.preparations import Parts, run_preparations
from tests.families import CONFIGS
from tests.runs.test_chat import loaded_model
from tests.tokens.small_tokenizers import TOKENIZERS

ROWS: dict[str, list[dict[str, Any]]] = {
    "judgment": [
        {
            "prompt": f"what is {n}?",
            "completion": f"it is {n}" if n % 2 else f"{n} {n} and so on",
            "judgment": "short and right" if n % 2 else "the answer rambles",
            "is_good": n % 2 == 1,
        }
        for n in range(16)
    ],
    "demonstration": [{"prompt": f"what is {n}?", "completion": f"it is {n}"} for n in range(16)],
    "unwanted": [
        {"prompt": f"what is {n}?", "completion": f"{n} {n} and so on", "label": False}
        for n in range(16)
    ],
    "scored": [
        {
            "prompt": f"what is {n}?",
            "chosen": f"it is {n}",
            "rejected": f"{n} {n} and so on",
            "score_chosen": 2 + n % 4,
            "score_rejected": 2,
        }
        for n in range(16)
    ],
}


def save(folder: Path, seed: int | None = None) -> Path:
    """The tiny model and its tokenizer; other weights with a seed."""
    loaded = loaded_model()
    if seed is not None:
        torch.manual_seed(seed)
        loaded.model.init_weights()
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("baseline"), seed=5)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with another vocabulary, other rules and another chat template."""
    folder = tmp_path_factory.mktemp("foreign")
    tokenizer = TOKENIZERS["chatml"]
    config = copy.deepcopy(CONFIGS["llama"])
    config.vocab_size = len(tokenizer)
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def settings_of(folder: Path, model: Path, rows: str, **settings: Any) -> AlignConfig:
    file = folder / f"{rows}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS[rows]))
    return AlignConfig(
        **{
            "data": str(file),
            "model": str(model),
            "output_dir": folder / "out",
            "precision": "float32",
            "batch_size": 4,
            "held_out": 0.25,
            "sample_prompts": 2,
            "max_new_tokens": 6,
            "self_sample_tokens": 5,
            "learning_rate": 1e-3,
            "logging_steps": 1,
            **settings,
        }
    )


def run(folder: Path, model: Path, rows: str, **settings: Any) -> tuple[AlignOutcome, dict, str]:
    config = settings_of(folder, model, rows, **settings)
    text = io.StringIO()
    outcome = run_align(config, console=Console(file=text, width=150)).outcome
    report = json.loads((Path(config.output_dir) / "report.json").read_text())
    return outcome, report, text.getvalue()


def prepared(ready: Prepared, model: nn.Module | None = None) -> tuple[Example, ...]:
    """All examples of a run as `align` prepares them, with this model as the policy."""
    bench = replace(ready.bench, policy=lambda: model, console=Console(quiet=True))
    held_out = ready.encoded_held_out
    parts = Parts(ready.encoded.examples, () if held_out is None else held_out.examples)
    return run_preparations(bench, parts).all


def logged(report: dict, name: str) -> list[float]:
    return [row[name] for row in report["curves"] if name in row]


# --- judgments ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, 4])
def test_cut_learns_from_judgments(tmp_path: Path, model: Path, rank: int) -> None:
    outcome, report, _ = run(tmp_path, model, "judgment", lora_rank=rank)
    assert (outcome.method, outcome.train, outcome.held_out) == ("cut", 12, 4)
    assert all(0 <= share <= 1 for share in logged(report, "flagged"))
    assert logged(report, "nll/judged")[-1] < logged(report, "nll/judged")[0]
    assert report["held_out"]["kind"] == "binary"
    assert report["held_out"]["count"] == 4


def test_the_wording_of_judgments_is_a_setting(tmp_path: Path, model: Path) -> None:
    settings = settings_of(tmp_path, model, "judgment", judgment_prompt="{judgment} so {prompt}")
    ready = prepare(settings)
    text = ready.session.tokenizer.decode(ready.encoded.examples[0].trees[0].prompt)
    assert ready.train.records[0].judgment + " so what is" in text
    with pytest.raises(UserError, match="--judgment-prompt"):
        prepare(settings.model_copy(update={"judgment_prompt": "no places"}))


def test_judgments_without_a_verdict_are_refused_by_row(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**row, "is_good": None} if n == 2 else row for n, row in enumerate(ROWS["judgment"])]
    monkeypatch.setitem(ROWS, "judgment", rows)
    with pytest.raises(UserError) as error:
        prepare(settings_of(tmp_path, model, "judgment", held_out=0.0))
    assert error.value.where == str(tmp_path / "judgment.jsonl") + ", row 3"
    assert "`is_good` true or false, found none" in error.value.message


# --- baselines ----------------------------------------------------------------------------------


def test_poft_compares_with_baselines(
    tmp_path: Path, model: Path, baseline: Path, foreign: Path
) -> None:
    names = (str(baseline), str(foreign))
    outcome, report, text = run(
        tmp_path, model, "demonstration", method="poft", baseline_model=names
    )
    assert outcome.method == "poft"
    margins = logged(report, "baseline/margins")
    assert margins[-1] > margins[0]
    assert f"scores of {baseline}: 16 records" in text


def test_a_baselines_scores_are_those_of_its_own_reading(
    tmp_path: Path, model: Path, baseline: Path, foreign: Path
) -> None:
    names = (str(baseline), str(foreign))
    config = settings_of(tmp_path, model, "demonstration", method="poft", baseline_model=names)
    ready = prepare(config)
    examples = prepared(ready)
    readers = ready.bench.memory[Baselines()]
    for column, (name, reader) in enumerate(zip(names, readers, strict=True)):
        loaded = install(load_model(name, dtype="float32", device="cpu").model)
        own = [example.trees[0] for example in reader.examples]
        with torch.no_grad():
            means = score(loaded, own).mean()
        attached = torch.tensor([example.numbers["baseline"][column] for example in examples])
        torch.testing.assert_close(attached, means)
    text = load_tokenizer(str(foreign)).decode(own[3].prompt)
    record = ready.train.records[examples[3].index]
    assert text.endswith(f"user\n{record.prompt}<|im_end|>\n<|im_start|>assistant\n")
    assert readers[1].rendering == Rendering()
    assert readers[0].examples[3].trees == examples[3].trees


def test_scores_of_baselines_are_computed_once(
    tmp_path: Path, model: Path, baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = {
        "method": "poft",
        "baseline_model": (str(baseline),),
        "cache_dir": tmp_path / "cache",
        "report": False,
        "held_out": 0.0,
    }
    config = settings_of(tmp_path, model, "demonstration", **common)
    first = prepared(prepare(config))

    def refuse(*_: Any) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr("accordant.scoring.frozen.score_all", refuse)
    assert prepared(prepare(config)) == first
    with pytest.raises(AssertionError, match="scored again"):
        prepared(prepare(config.model_copy(update={"precision": "bf16"})))


def test_baselines_are_asked_for_and_not_ignored(
    tmp_path: Path, model: Path, baseline: Path
) -> None:
    with pytest.raises(UserError, match="none is named"):
        prepare(settings_of(tmp_path, model, "demonstration", method="poft"))
    with pytest.raises(UserError, match="does not read scores of baselines"):
        prepare(settings_of(tmp_path, model, "demonstration", baseline_model=(str(baseline),)))


def test_a_row_a_baseline_cannot_read_is_named(
    tmp_path: Path, model: Path, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {**row, "completion": "it is <|im_end|> so"} if n == 4 else row
        for n, row in enumerate(ROWS["demonstration"])
    ]
    monkeypatch.setitem(ROWS, "demonstration", rows)
    config = settings_of(
        tmp_path,
        model,
        "demonstration",
        method="poft",
        baseline_model=(str(foreign),),
        held_out=0.0,
    )
    with pytest.raises(UserError, match="cannot read this row") as error:
        prepare(config)
    assert error.value.where == str(tmp_path / "demonstration.jsonl") + ", row 5"


# --- the start model's own answers --------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, 4])
def test_d2o_learns_from_unwanted_answers_and_the_start_models_own(
    tmp_path: Path, model: Path, rank: int
) -> None:
    outcome, report, text = run(
        tmp_path, model, "unwanted", method="d2o", options={"samples": 3}, lora_rank=rank
    )
    assert (outcome.method, outcome.train, outcome.held_out) == ("d2o", 12, 4)
    assert "3 answers of the start model to every prompt" in text
    rewards = logged(report, "rewards/undesirable")
    assert rewards[0] == pytest.approx(0, abs=1e-5)
    assert rewards[-1] < 0
    assert len(logged(report, "rewards/self_samples")) == len(rewards)
    assert report["held_out"]["kind"] == "binary"
    assert report["held_out"]["count"] == 4


def test_self_samples_are_the_start_models_and_drawn_once(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings_of(tmp_path, model, "unwanted", method="d2o", options={"samples": 2})
    ready = prepare(config)
    loaded = install(load_model(str(model), dtype="float32", device="cpu").model)
    first = prepared(ready, loaded)
    assert len(first) == len(ready.encoded.examples) + len(ready.encoded_held_out.examples)
    for example in first:
        assert example.extra_answers == {"self_samples": 2}
        assert len(example.trees[0].continuations) == 3
        assert all(0 < len(run) <= 5 for run in example.trees[0].continuations[1:])

    def refuse(*_: Any) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr("accordant.sampling.sampler.generate", refuse)
    assert prepared(ready, loaded) == first
    other = prepare(config.model_copy(update={"seed": 1, "overwrite": True}))
    with pytest.raises(AssertionError, match="drawn again"):
        prepared(other, loaded)


def test_the_plan_counts_self_samples_at_their_full_length(tmp_path: Path, model: Path) -> None:
    few, many = (
        prepare(
            settings_of(tmp_path, model, "unwanted", method="d2o", options={"samples": count})
        ).plan
        for count in (1, 11)
    )
    assert many.tokens - few.tokens == 12 * 10 * 5
    assert many.memory.total > few.memory.total


def test_prompts_that_leave_no_room_for_answers_are_told_before_loading(
    tmp_path: Path, model: Path
) -> None:
    config = settings_of(tmp_path, model, "unwanted", method="d2o", self_sample_tokens=395)
    with pytest.raises(UserError, match="exceeds the model's 400 positions") as error:
        prepare(config)
    assert error.value.where == "--self-sample-tokens"


def test_wanted_answers_are_refused_by_row(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**row, "label": n == 7} for n, row in enumerate(ROWS["unwanted"])]
    monkeypatch.setitem(ROWS, "unwanted", rows)
    with pytest.raises(UserError, match="learns from rows with `label` false") as error:
        prepare(settings_of(tmp_path, model, "unwanted", method="d2o", held_out=0.0))
    assert error.value.where == str(tmp_path / "unwanted.jsonl") + ", row 8"


# --- goals --------------------------------------------------------------------------------------


def test_scored_comparisons_are_trained_on_under_goals(tmp_path: Path, model: Path) -> None:
    outcome, report, text = run(tmp_path, model, "scored", relabel="reward-augmented")
    ready = prepare(
        settings_of(tmp_path, model, "scored", relabel="reward-augmented", overwrite=True)
    )
    assert outcome.train == len(ready.train.records)
    assert outcome.train + outcome.held_out == 2 * 16  # four of them scored alike
    assert "ask the trained model with the goal of the best score: 'Give an answer of" in text
    assert report["data"]["exclusions"] == []
    assert report["held_out"]["count"] == outcome.held_out
    asked = [row["prompt"] for row in report["win_rates"][0]["rows"]]
    assert all(prompt.startswith("Give an answer of quality 5.\n\nwhat is") for prompt in asked)
    train, held_out = (
        {record.prompt.rpartition("\n")[2] for record in part.records}
        for part in (ready.train, ready.held_out)
    )
    assert not train & held_out


def test_comparisons_without_scores_are_refused_by_row(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{k: v for k, v in row.items() if "score" not in k} for row in ROWS["scored"]]
    monkeypatch.setitem(ROWS, "scored", rows)
    with pytest.raises(UserError, match="has no scores, and all 16 must") as error:
        prepare(settings_of(tmp_path, model, "scored", relabel="reward-augmented", held_out=0.0))
    assert error.value.where == str(tmp_path / "scored.jsonl") + ", row 1"


def test_what_is_saved_after_such_runs_is_an_ordinary_model(tmp_path: Path, model: Path) -> None:
    run(tmp_path, model, "unwanted", method="d2o", options={"samples": 1}, sample_prompts=0)
    AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model")
