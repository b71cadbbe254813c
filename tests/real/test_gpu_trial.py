"""The trial of a card runs to its end on a processor, so that minutes on a card are not lost."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_trial.py"


def test_a_tiny_trial_measures_every_section_and_tells_what_fails():
    if find_spec("trl") is None:
        pytest.skip("TRL comes with the benchmarks")
    sections = ["exact", "ours", "trl", "liger", "sample", "checks"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--tiny", "--seconds", "900"],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout.splitlines()[-1])
    assert set(report) == {"card", "versions", "rows"}
    rows = report["rows"]
    failed = [row for row in rows if "error" in row and row["section"] != "liger"]
    assert not failed
    assert [s for s in sections if any(row["section"] == s for row in rows)] == sections
    for row in rows:
        if row["section"] == "exact" and "float32" in row["what"]:
            assert row["scores"] < 1e-4
            assert row["gradients"] < 1e-3
    assert next(r for r in rows if r["what"] == "greedy, float32")["same_tokens"] == 1
    against = [row["what"] for row in rows if row["section"] == "against"]
    assert len([what for what in against if what.endswith(": trl")]) == 3
