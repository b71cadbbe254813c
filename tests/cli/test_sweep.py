"""`accordant align --sweep`: how a grid is given, shown and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accordant.runs.sweep import sweep as workflow
from accordant.runs.sweep.sweep import SweepOutcome

ROWS = [
    {"prompt": f"Name number {n}.", "chosen": f"It is {n}.", "rejected": f"{n}, {n} and so on"}
    for n in range(8)
]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def test_a_dry_run_prints_the_runs_and_what_they_take(cli: Any, data: Path) -> None:
    axes = ["--sweep", "method=dpo,ln_dpo", "--sweep", "ln_dpo.beta=1,2", "--sweep", "lora_rank=4"]
    result = cli("align", "--data", str(data), *axes, "--dry-run", "--parallel", "2")
    assert result.exit_code == 0, result.output
    for run in ("dpo lora_rank=4", "ln_dpo lora_rank=4 beta=1", "ln_dpo lora_rank=4 beta=2"):
        assert run in result.stdout
    assert "3 runs of" in result.stdout
    assert "2 at a time" in result.stdout
    assert not Path("outputs").exists()


def test_a_grid_in_a_file_and_in_the_configuration(cli: Any, data: Path) -> None:
    Path("sweep.yaml").write_text("method: [dpo, ipo]\nipo:\n  tau: [0.1, 0.5]\n")
    Path("run.yaml").write_text(f"data: {data}\nsweep: sweep.yaml\n")
    result = cli("align", "--config", "run.yaml", "--dry-run", "--json")
    plan = json.loads(result.stdout)
    assert plan["runs"] == 3
    assert [trial["varied"] for trial in plan["cells"]] == [
        {"method": "dpo"},
        {"method": "ipo", "option.tau": 0.1},
        {"method": "ipo", "option.tau": 0.5},
    ]
    assert {trial["options"].get("tau") for trial in plan["cells"]} == {None, 0.1, 0.5}
    assert plan["memory_bytes"] > 0
    # On the command line the list of axes replaces that of the file, as for any setting.
    result = cli("align", "--config", "run.yaml", "--sweep", "seed=0,1", "--dry-run", "--json")
    assert json.loads(result.stdout)["runs"] == 2


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("option.tau=1", "--sweep option.tau: objective 'dpo': there is no option 'tau'."),
        ("other.yaml", "other.yaml: there is no such file"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    cli: Any, data: Path, axis: str, message: str
) -> None:
    result = cli("align", "--data", str(data), "--method", "dpo", "--sweep", axis)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (1, 1)])
def test_the_exit_code_says_whether_a_run_failed(
    cli: Any, data: Path, monkeypatch: pytest.MonkeyPatch, failed: int, code: int
) -> None:
    outcome = SweepOutcome(False, 2, 1, 8, 1, 1, (), failed=failed, summary="said")
    monkeypatch.setattr(workflow, "run_sweep", lambda *_, **__: outcome)
    result = cli("align", "--data", str(data), "--sweep", "seed=0,1", "--json")
    assert result.exit_code == code
    assert json.loads(result.stdout)["summary"] == "said"


def test_an_interrupted_sweep_says_how_to_go_on(
    cli: Any, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "run_sweep", interrupt)
    result = cli("align", "--data", str(data), "--sweep", "seed=0,1")
    assert result.exit_code == 130
    assert "--resume" in result.stderr


def test_help_shows_how_to_sweep(cli: Any) -> None:
    text = cli("align", "--help").stdout
    for option in ("--sweep", "--parallel", "--keep-models", "--rank-by"):
        assert option in text
    assert "--sweep sweep.yaml" in text
