"""The verbs that load models, run as a user runs them, on a tiny model in a folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import command, environment
from tests.runs.test_chat import loaded_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 32 dimensions whose words are letters, with its tokenizer."""
    folder = tmp_path_factory.mktemp("tiny")
    loaded = loaded_model()
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": f"what is {n}?", "chosen": f"it is {n}", "rejected": f"{n} {n} and so on"}
        for n in range(20)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def run(
    folder: Path, arguments: Sequence[object], message: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*map(str, arguments)),
        cwd=folder,
        input=message,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1"),
    )


def test_chat_answers_piped_input_and_a_prompt_of_a_file_alike(model: Path, tmp_path: Path) -> None:
    (tmp_path / "chat.yaml").write_text("temperature: 0\nmax_new_tokens: 99\nprompt: hello?\n")
    options = ("--temperature", "0", "--max-new-tokens", "12")
    piped = run(tmp_path, ("chat", model, *options), "hello?\n")
    filed = run(tmp_path, ("chat", model, "--config", "chat.yaml", *options[2:]))
    assert (piped.returncode, filed.returncode) == (0, 0), piped.stderr + filed.stderr
    assert piped.stdout == filed.stdout
    assert 0 < len(piped.stdout.strip()) <= 12


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["chat", "no/such/folder", "--prompt", "x"], "no/such/folder"),
        (["chat", "{model}", "--prompt", " "], "nothing to answer"),
        (["align", "--data", "none.jsonl", "--model", "{model}"], "none.jsonl"),
        (["align", "--data", "pairs.jsonl", "--model", "no/such/folder"], "no/such/folder"),
        (["align", "--data", "pairs.jsonl", "--model", "{model}", "--method", "dop"], "dpo"),
        (["align", "--data", "pairs.jsonl", "--model", "{model}", "--method", "kto"], "binary"),
        (["align", "--data", "pairs.jsonl", "--model", "{model}", "--option", "bta=1"], "beta"),
    ],
)
def test_mistakes_about_models_and_data_are_told_readably(
    model: Path, pairs: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = run(tmp_path, [argument.format(model=model) for argument in arguments])
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["pairs.jsonl"]


def test_a_dry_run_prints_its_plan_as_one_json_object(
    model: Path, pairs: Path, tmp_path: Path
) -> None:
    arguments = ("align", "--data", pairs, "--model", model, "--dry-run", "--json")
    done = run(tmp_path, (*arguments, "--batch-size", "4", "--option", "beta=0.3"))
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["dry_run"] is True
    assert plan["method"] == "dpo"
    assert plan["options"]["beta"] == 0.3
    assert plan["train"] + plan["held_out"] == 20
    assert "dpo" in done.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["pairs.jsonl"]


def test_scores_go_to_standard_output_and_a_merged_adapter_scores_alike(
    model: Path, pairs: Path, tmp_path: Path
) -> None:
    options = ("--precision", "float32", "--limit", "3")
    trained = run(
        tmp_path,
        (
            *("align", "--data", pairs, "--model", model, "--lora-rank", "2", "--max-steps", "2"),
            *("--no-report", "--no-watch", "--learning-rate", "0.01", "--output-dir", "run"),
            *options[:2],
        ),
    )
    assert trained.returncode == 0, trained.stderr
    merged = run(tmp_path, ("merge", "run/model", "--output-dir", "whole", "--json"))
    assert merged.returncode == 0, merged.stderr
    assert json.loads(merged.stdout) == {"folder": "whole"}
    again = run(tmp_path, ("merge", "whole", "--output-dir", "twice"))
    assert (again.returncode, "holds no adapter" in again.stderr) == (2, True)
    scored = {
        name: run(tmp_path, ("score", "--data", pairs, "--model", name, *options))
        for name in ("run/model", "whole")
    }
    lines = {
        name: [json.loads(line) for line in done.stdout.splitlines()]
        for name, done in scored.items()
    }
    assert [line["row"] for line in lines["whole"]] == [1, 2, 3], scored["whole"].stderr
    for adapted, whole in zip(lines["run/model"], lines["whole"], strict=True):
        for one, other in zip(adapted["answers"], whole["answers"], strict=True):
            assert one["logp"] == pytest.approx(other["logp"], abs=1e-3)
    plan = run(tmp_path, ("score", "--data", pairs, "--model", model, "--dry-run"))
    assert "answers: 40" in plan.stdout
