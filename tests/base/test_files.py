"""Files written whole: no half of one is ever seen, and a failure leaves what was there."""

from __future__ import annotations

import threading

import pytest

from accordant.base import files
from accordant.base.files import whole_folder, write_whole


def test_a_later_write_replaces_the_earlier_one_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "report.json"
    write_whole(path, b"first, and longer")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "fdopen"])
def test_a_write_that_fails_leaves_the_earlier_file_whole(tmp_path, monkeypatch, step):
    path = tmp_path / "report.json"
    write_whole(path, b"first")

    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "missing" / "report.json", b"")


def test_threads_that_write_one_file_leave_one_of_their_texts(tmp_path):
    path = tmp_path / "shared"
    texts = [bytes([65 + place]) * 200_000 for place in range(8)]
    threads = [threading.Thread(target=write_whole, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in texts
    assert list(tmp_path.iterdir()) == [path]


def fill(target, text, error=None):
    with whole_folder(target) as partial:
        (partial / "file").write_text(text)
        if error is not None:
            raise error


def test_a_folder_takes_the_place_of_another_and_a_failed_block_changes_nothing(tmp_path):
    target = tmp_path / "deep" / "out"
    fill(target, "old")
    with pytest.raises(ValueError, match="stop"):
        fill(target, "half", ValueError("stop"))
    assert (target / "file").read_text() == "old"
    fill(target, "new")
    assert (target / "file").read_text() == "new"
    assert list(target.parent.iterdir()) == [target]
