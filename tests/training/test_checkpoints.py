"""A checkpoint is whole or absent, and a full disk says so."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from accordant.base.errors import UserError
from accordant.training import checkpoints
from tests.training.runs import run


def write(folder: Path, step: int, settings: dict | None = None) -> Path:
    name = f"checkpoint-{step}"
    with checkpoints.staged_checkpoint(folder, name, settings or {}, is_main=True) as staging:
        (staging / name / "deep").mkdir(parents=True)
        (staging / name / "weights").write_bytes(b"w" * 100)
        (staging / name / "deep" / "state").write_bytes(b"s")
    return folder / name


def test_the_newest_complete_checkpoint_is_found(tmp_path: Path) -> None:
    for step in (5, 10, 9):
        write(tmp_path, step)
    assert checkpoints.last_checkpoint(tmp_path, {}) == tmp_path / "checkpoint-10"
    assert checkpoints.last_checkpoint(tmp_path / "none", {}) is None


@pytest.mark.parametrize("damage", ["shorter", "missing", "no manifest", "broken manifest"])
def test_a_damaged_checkpoint_is_passed_over(damage: str, tmp_path: Path) -> None:
    good, bad = write(tmp_path, 1), write(tmp_path, 2)
    manifest = bad / checkpoints.MANIFEST
    if damage == "shorter":
        (bad / "weights").write_bytes(b"w" * 99)
    elif damage == "missing":
        (bad / "deep" / "state").unlink()
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text("{")
    assert checkpoints.last_checkpoint(tmp_path, {}) == good


def test_an_interrupted_checkpoint_leaves_the_one_before(tmp_path: Path) -> None:
    good = write(tmp_path, 1)

    class Killed(BaseException):
        pass

    def interrupted() -> None:
        with checkpoints.staged_checkpoint(tmp_path, "checkpoint-2", {}, is_main=True) as staging:
            (staging / "checkpoint-2").mkdir()
            (staging / "checkpoint-2" / "weights").write_bytes(b"half")
            raise Killed

    with pytest.raises(Killed):
        interrupted()
    assert checkpoints.list_checkpoints(tmp_path) == [good]
    write(tmp_path, 2)
    assert len(checkpoints.list_checkpoints(tmp_path)) == 2


def test_a_checkpoint_of_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, 1, {"seed": 0, "options": {"beta": 0.1}})
    assert checkpoints.last_checkpoint(tmp_path, {"seed": 0, "options": {"beta": 0.1}})
    with pytest.raises(UserError, match="seed was 0, is 1"):
        checkpoints.last_checkpoint(tmp_path, {"seed": 1, "options": {"beta": 0.1}})


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in range(1, 6):
        write(tmp_path, step)
    checkpoints.remove_old(tmp_path, 2)
    assert [checkpoints.step_of(p) for p in checkpoints.list_checkpoints(tmp_path)] == [4, 5]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_disk_that_fills_up_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        run(tmp_path, max_steps=2, save_steps=1)
        # Small files still fit, weights do not: as on a disk with little room left.
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        with pytest.raises(UserError, match="checkpoint-3 could not be written") as caught:
            run(tmp_path, max_steps=4, save_steps=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "the last good one is checkpoint-2" in str(caught.value)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["checkpoint-1", "checkpoint-2"]
