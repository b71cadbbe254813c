"""Locks between processes: waited for, refused, and gone with whoever held them."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from accordant.base.locks import lock

pytest.importorskip("fcntl")

HOLDER = (
    "import sys, pathlib\nfrom accordant.base.locks import lock\n"
    "with lock(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
)


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", []

    def second() -> None:
        with lock(path) as held:
            order.append(("second", held))

    waiting = threading.Thread(target=second)
    with lock(path) as held:
        assert held
        with lock(path, wait=False) as again:
            assert not again
        waiting.start()
        waiting.join(0.2)
        order.append(("first", held))
    waiting.join(10)
    assert order == [("first", True), ("second", True)]


def test_a_lock_is_free_again_after_use(tmp_path: Path) -> None:
    for _ in range(2):
        with lock(tmp_path / "lock", wait=False) as held:
            assert held


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with lock(tmp_path / "lock", wait=False) as held:
        assert not held
    process.kill()
    process.communicate()
    with lock(tmp_path / "lock", wait=False) as held:
        assert held
