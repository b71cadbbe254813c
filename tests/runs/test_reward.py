"""The stories of `accordant reward`, on a tiny model and feedback that a rule has labelled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from accordant.base.errors import UserError
from accordant.cli.main import app
from accordant.rewards.expression import find_reward
from accordant.rewards.model import FILE, RewardModel
from accordant.rewards.reward import Answer, score_answers
from tests.families import CONFIGS
from tests.rewards.test_model import clone, elsewhere

COLOURS = ("red", "green", "blue", "grey", "pink", "black", "white", "brown")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tokenizer = clone("chatml")
    config = CONFIGS["llama"].__class__(**CONFIGS["llama"].to_dict())
    config.vocab_size = len(tokenizer)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Comparisons that prefer the answer with an exclamation mark; every tenth is a tie."""
    file = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    rows = [
        {
            "prompt": f"Name {colour} thing {number}.",
            "chosen": f"{colour}!",
            "rejected": f"{colour}?",
            "margin": 0 if number == 9 else number % 3 + 1,
        }
        for colour in COLOURS
        for number in range(10)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "rated.jsonl"
    rows = [
        {
            "prompt": f"Name {colour} thing {number}.",
            "completion": f"{colour}{'!' * (number % 2)}",
            "ratings": {
                "helpfulness": 4 * (number % 2),
                "verbosity": len(colour) % 3 if number % 5 else None,
            },
        }
        for colour in COLOURS
        for number in range(10)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(app, ["reward", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code == 2:
        raise UserError(result.output)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def train(base: Path, data: Path, out: Path, *more: object) -> Any:
    settings = ("--precision", "float32", "--device", "cpu", "--batch-size", 8, "--epochs", 6)
    rates = ("--learning-rate", 3e-3, "--token-budget", 512, "--logging-steps", 1)
    named = ("--model", base, "--data", data, "--output-dir", out)
    return run("train", *named, *settings, *rates, *more, "--json")


@pytest.fixture(scope="module")
def trained(base: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("runs") / "exclaims"
    return out, train(base, pairs, out)


def test_a_trained_reward_is_measured_and_read_by_others(trained: tuple[Path, Any]) -> None:
    out, report = trained
    accuracy = report["measures"]["numbers"]["accuracy"]
    assert accuracy["estimate"] > 0.9
    assert report["verdict"].startswith("accuracy ")
    assert report["difference_elsewhere"] < 1e-3
    assert report["loss"] == "bt"
    assert (out / "report.html").is_file()
    answers = [Answer("Name red thing 1.", text) for text in ("red!", "red?")]
    reward = find_reward(str(out))
    values = score_answers(reward, answers).values
    assert values[0] > values[1]
    assert elsewhere(out / "model", answers) == pytest.approx(values, abs=1e-4)
    card = (out / "model" / "README.md").read_text()
    assert "--runner pooling --convert classify" in card
    assert '"use_activation": false' in card


def test_an_adapter_is_merged_into_a_folder_with_its_head(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    report = train(base, pairs, tmp_path / "rm", "--lora-rank", 4)
    assert report["difference_elsewhere"] < 1e-3
    assert report["measures"]["numbers"]["accuracy"]["estimate"] > 0.9


def test_a_plan_says_what_would_be_done(base: Path, pairs: Path, tmp_path: Path) -> None:
    plan = train(base, pairs, tmp_path / "rm", "--dry-run", "--loss", "scaled_bt")
    assert plan["dry_run"]
    assert plan["loss"] == "scaled_bt"
    assert plan["train"] + plan["held_out"] == 80
    assert not (tmp_path / "rm" / "model").exists()


def test_ratings_give_an_attribute_each_with_its_residual(
    base: Path, rated: Path, tmp_path: Path
) -> None:
    report = train(base, rated, tmp_path / "rm", "--epochs", 12)
    assert report["attributes"] == ["helpfulness", "verbosity"]
    numbers = report["measures"]["numbers"]
    assert numbers["helpfulness, rank correlation"]["estimate"] > 0.8
    reward = find_reward(f"{tmp_path / 'rm'}[helpfulness]")
    high, low = score_answers(
        reward, [Answer("Name red thing 1.", t) for t in ("red!", "red")]
    ).values
    assert high > low
    whole = find_reward(str(tmp_path / "rm"))
    assert isinstance(whole, RewardModel)
    assert len(whole.residual_sd) == 2
    only = train(base, rated, tmp_path / "one", "--attributes", "verbosity", "--dry-run")
    assert only["attributes"] == ["verbosity"]
    assert only["train"] + only["held_out"] == 64


def test_scoring_adds_columns_that_align_reads_and_takes_up_what_was_done(
    trained: tuple[Path, Any], pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accordant.runs import reward as story

    out, whole = tmp_path / "scored.jsonl", tmp_path / "whole.jsonl"
    run("score", trained[0], "--data", pairs, "--out", whole, "--json")
    monkeypatch.setattr(story, "SCORED_TOGETHER", 32)
    calls, score = [], story.score_answers

    def interrupted(reward: Any, answers: Any) -> Any:
        calls.append(len(answers))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(reward, answers)

    monkeypatch.setattr(story, "score_answers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        story.score_rows(
            str(trained[0]),
            story.RewardScoreConfig(data=str(pairs), out=out),
            Console(quiet=True),
        )
    assert not out.exists()
    done = run("score", trained[0], "--data", pairs, "--out", out, "--json")
    assert done["rows"] == 80
    assert calls == [64, 64, 64, 32]
    rows, others = ([json.loads(x) for x in f.read_text().splitlines()] for f in (out, whole))
    assert [row["prompt"] for row in rows] == [row["prompt"] for row in others]
    assert all(row["score_chosen"] > row["score_rejected"] for row in rows)
    for row, other in zip(rows, others, strict=True):
        assert row["score_chosen"] == pytest.approx(other["score_chosen"], abs=1e-4)
    assert not list(tmp_path.glob(".*partial"))
    with pytest.raises(UserError, match="the file exists"):
        story.score_rows(
            "shorter",
            story.RewardScoreConfig(data=str(pairs), out=out),
            None,  # type: ignore
        )


def test_evaluating_a_constant_reward_says_that_it_is_chance(pairs: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def same(answers):\n    return [1.0 for _ in answers]\n")
    report = run(
        "evaluate", f"{mine}:same", "--data", pairs, "--output-dir", tmp_path / "out", "--json"
    )
    assert report["measures"]["numbers"]["accuracy"]["estimate"] == 0.5
    assert report["measures"]["temperature"] == 1.0
    assert "not distinguishable from chance" in report["verdict"]


def test_a_temperature_is_fitted_on_half_and_kept(
    trained: tuple[Path, Any], pairs: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "rm"
    shutil.copytree(trained[0] / "model", copy)
    before = score_answers(find_reward(str(copy)), [Answer("p", "red!")]).values
    run("calibrate", copy, "--data", pairs, "--output-dir", tmp_path / "out", "--json")
    temperature = json.loads((copy / FILE).read_text())["temperature"]
    assert temperature != 1.0
    after = score_answers(find_reward(str(copy)), [Answer("p", "red!")]).values
    assert after * temperature == pytest.approx(before)
    with pytest.raises(UserError, match="only a folder of a reward model"):
        run("calibrate", "shorter", "--data", pairs, "--output-dir", tmp_path / "no")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--loss", "margin"), r"no loss of rewards 'margin'.*'margin_bt'"),
        (("--loss", "regression"), "learns from rating records"),
        (("--attributes", "helpfulness"), "comparison records rate no attributes"),
        (("--max-length", "8"), r"row 1.*tokens, at most 8"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_weights_are_loaded(
    base: Path, pairs: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        train(base, pairs, tmp_path / "rm", *arguments)


def test_data_that_no_reward_can_learn_is_refused(base: Path, pairs: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    rows = [json.loads(line) for line in pairs.read_text().splitlines()]

    def write(*changed: dict[str, Any]) -> Path:
        bad.write_text("".join(json.dumps(row) + "\n" for row in changed))
        return bad

    against = write(*({**row, "margin": -2} for row in rows))
    with pytest.raises(UserError, match="score the rejected one higher"):
        train(base, against, tmp_path / "rm", "--loss", "margin_bt")
    without = write(*({k: v for k, v in row.items() if k != "margin"} for row in rows))
    with pytest.raises(UserError, match="records have none"):
        train(base, without, tmp_path / "rm", "--loss", "scaled_bt")
    equal = write({**rows[0], "rejected": rows[0]["chosen"]}, *rows[1:])
    with pytest.raises(UserError, match="row 1"):
        train(base, equal, tmp_path / "rm")
    constant = write(
        *({"prompt": r["prompt"], "completion": r["chosen"], "helpfulness": 3} for r in rows)
    )
    with pytest.raises(UserError, match="'helpfulness' is 3 wherever it is rated"):
        train(base, constant, tmp_path / "rm")
    demonstrations = write(*({"prompt": r["prompt"], "completion": r["chosen"]} for r in rows))
    with pytest.raises(UserError, match="no loss of rewards learns from demonstration"):
        train(base, demonstrations, tmp_path / "rm")


def test_long_conversations_are_left_out_on_request(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    rows = pairs.read_text() + json.dumps(
        {"prompt": "Name it. " * 100, "chosen": "a!", "rejected": "a?"}
    )
    long = tmp_path / "long.jsonl"
    long.write_text(rows)
    plan = train(base, long, tmp_path / "rm", "--too-long", "drop", "--dry-run")
    assert plan["train"] + plan["held_out"] == 80


def test_a_training_that_was_stopped_goes_on_and_ends_with_the_same_weights(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    steps = ("--max-steps", 4, "--save-steps", 2)
    train(base, pairs, tmp_path / "rm", *steps)
    whole = load_file(tmp_path / "rm" / "model" / "model.safetensors")
    # As a run leaves its folder that was killed after its third step.
    shutil.rmtree(tmp_path / "rm" / "model")
    shutil.rmtree(tmp_path / "rm" / "checkpoint-4")
    with pytest.raises(UserError, match="checkpoints of an earlier run"):
        train(base, pairs, tmp_path / "rm", *steps)
    report = train(base, pairs, tmp_path / "rm", *steps, "--resume")
    assert report["steps"] == 4
    again = load_file(tmp_path / "rm" / "model" / "model.safetensors")
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)
