"""Stored seeds come back as they were measured; an interruption loses none that has finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from accordant.base.errors import UserError
from accordant_studies.results import (
    StoredRun,
    duration,
    load_run,
    measure_seeds,
    resume_run,
    version_of,
)
from accordant_studies.study import Claim, Measured, Share, Study


def measure(seed: int) -> Measured:
    return {"a": {"score": seed / 3, "right": Share(seed, 10)}, "b": {"score": float("nan")}}


STUDY = Study(measure, (3, 4, 5), (Claim("a is right", "right", higher="a", than=0.2),))


def test_numbers_shares_and_seconds_come_back(tmp_path: Path) -> None:
    path, told = tmp_path / "new" / "toy.json", list[str]()
    run = StoredRun(version_of(STUDY))
    measure_seeds(STUDY, run, (3, 4), path, told.append)
    again = load_run(path)
    assert again.measured[4]["a"] == {"score": 4 / 3, "right": 0.4}
    assert isinstance(again.measured[4]["a"]["right"], Share)
    assert again.measured[4]["b"]["score"] != again.measured[4]["b"]["score"]
    assert (again.version, again.commit) == (run.version, run.commit)
    assert STUDY.run((3, 4), again.measured).claims == STUDY.run((3, 4)).claims
    assert [line.partition(":")[0] for line in told] == ["seed 3, 1 of 2", "seed 4, 2 of 2"]
    assert "left" in told[0]
    assert "left" not in told[1]


def test_an_interruption_keeps_what_has_finished_and_resuming_measures_the_rest(
    tmp_path: Path,
) -> None:
    asked: list[int] = []

    def interrupted(seed: int) -> Mapping[str, Mapping[str, float]]:
        asked.append(seed)
        if seed == 5 and asked.count(5) == 1:
            raise KeyboardInterrupt
        return measure(seed)

    path, study = tmp_path / "toy.json", replace(STUDY, measure=interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure_seeds(study, StoredRun(version_of(study)), study.seeds, path, print)
    told: list[str] = []
    run = resume_run(path, study)
    measure_seeds(study, run, study.seeds, path, told.append)
    assert asked == [3, 4, 5, 5]
    assert told[0] == f"2 of 3 seeds are in {path}."
    assert sorted(run.measured) == [3, 4, 5]


def test_seeds_of_other_code_or_of_other_conditions_are_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    measure_seeds(STUDY, StoredRun("other"), (3,), path, print)
    with pytest.raises(UserError, match="another version"):
        resume_run(path, STUDY)
    measure_seeds(STUDY, StoredRun(version_of(STUDY)), (3,), path, print)
    renamed = replace(STUDY, claims=(Claim("c is right", "right", higher="c", than=0.2),))
    with pytest.raises(UserError, match="another version"):
        resume_run(path, renamed)
    reworded = replace(STUDY, claims=(replace(STUDY.claims[0], statement="right it is"),))
    assert sorted(resume_run(path, reworded).measured) == [3]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seeds": {"x": {}}}'])
def test_a_file_that_is_none_says_so(text: str, tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    path.write_text(text)
    with pytest.raises(UserError, match="no stored seeds"):
        resume_run(path, STUDY)


def test_the_file_is_json_for_anyone(tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    measure_seeds(STUDY, StoredRun("v"), (3,), path, print)
    stored = json.loads(path.read_text())
    assert stored["seeds"]["3"]["measured"]["a"] == {"score": 1.0, "right": [3, 10]}


def test_durations_are_short() -> None:
    assert [duration(s) for s in (41.2, 420, 9000)] == ["41 s", "7 min", "2.5 h"]
