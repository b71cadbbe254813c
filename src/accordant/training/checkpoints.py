"""Checkpoints that are whole or absent.

Knows folders, file sizes and the settings a checkpoint was made with. Knows nothing of models. A
checkpoint is written beside its final place, flushed, listed in a manifest and then renamed; what a
killed run leaves half-written never has the final name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accordant.base.errors import UserError
from accordant.base.files import write_whole
from accordant.base.processes import is_first_process, wait_for_processes
from accordant.models.saving import check_output_folder

MANIFEST = "checkpoint.json"
ENDED = "ended.json"
STAGING = ".unfinished"


def step_of(checkpoint: Path) -> int:
    """Return the step in a checkpoint's name, -1 where it has none."""
    match = re.fullmatch(r"checkpoint-(\d+)", checkpoint.name)
    return int(match[1]) if match else -1


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints in `folder`, oldest first."""
    found = [path for path in folder.glob("checkpoint-*") if step_of(path) >= 0]
    return sorted((path for path in found if is_complete(path)), key=step_of)


def is_complete(checkpoint: Path) -> bool:
    """Tell whether every file of the checkpoint's manifest is there with its size."""
    manifest = _read_json(checkpoint / MANIFEST)
    files = manifest.get("files") if manifest else None
    if not isinstance(files, dict):
        return False
    return all(
        (checkpoint / name).is_file() and (checkpoint / name).stat().st_size == size
        for name, size in files.items()
    )


def last_checkpoint(folder: Path, settings: Mapping[str, Any]) -> Path | None:
    """Return the newest complete checkpoint, made with the same settings; None without one.

    Args:
        folder: output folder of the run.
        settings: what must be as it was, JSON values by name.

    Raises:
        UserError: the checkpoint was made with other settings; names them.
    """
    complete = list_checkpoints(folder)
    if not complete:
        return None
    newest = complete[-1]
    _refuse_changes("the checkpoint was made", newest, _read_json(newest / MANIFEST), settings)
    return newest


def mark_ended(folder: Path, steps: int, settings: Mapping[str, Any]) -> None:
    """Note in the output folder that its run has ended; the last thing a run writes."""
    note = {"steps": steps, "settings": dict(settings)}
    write_whole(folder / ENDED, json.dumps(note, indent=1).encode())


def steps_ended(folder: Path, settings: Mapping[str, Any]) -> int | None:
    """Return after how many steps the run in `folder` has ended; None where it has not.

    Args:
        folder: output folder of the run.
        settings: what must be as it was, JSON values by name.

    Raises:
        UserError: it ended with other settings; names them.
    """
    note = _read_json(folder / ENDED)
    if note is None:
        return None
    _refuse_changes("the run there has ended", folder, note, settings)
    return int(note["steps"])


def _refuse_changes(
    what: str, where: Path, kept: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> None:
    before = (kept or {}).get("settings", {})
    now = json.loads(json.dumps(dict(settings)))
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        told = "; ".join(
            f"{name} was {before.get(name)!r}, is {now.get(name)!r}" for name in changed
        )
        raise UserError(
            f"{what} with other settings ({told}).",
            where=str(where),
            mend="Resume with the same settings, or start afresh in another folder.",
        )


@contextmanager
def staged_checkpoint(
    folder: Path, name: str, settings: Mapping[str, Any], *, is_main: bool
) -> Iterator[Path]:
    """Open a folder to write checkpoint `name` into; it moves to `folder` when all is written.

    Every process of a run enters; the main one prepares and commits.

    Args:
        folder: output folder of the run.
        name: name the checkpoint will have, `checkpoint-<step>`.
        settings: what a resumed run must share, JSON values by name.
        is_main: whether this process commits.

    Yields:
        the folder that `name` is to be written in.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    staging = folder / STAGING
    if is_main:
        shutil.rmtree(staging, ignore_errors=True)
    wait_for_processes()
    try:
        if is_main:
            staging.mkdir(parents=True)
        wait_for_processes()
        yield staging
        wait_for_processes()
        if is_main:
            _commit(staging / name, folder / name, settings)
            staging.rmdir()
    except Exception as error:
        if is_main:
            shutil.rmtree(staging, ignore_errors=True)
        if _is_writing_error(error):
            kept = list_checkpoints(folder)
            last = f"the last good one is {kept[-1].name}" if kept else "there is no earlier one"
            raise UserError(
                f"{name} could not be written ({error}); {last}.",
                where=str(folder),
                mend="Free disk space and continue with --resume.",
            ) from error
        raise
    wait_for_processes()


def check_run_folder(folder: Path, *, may_write: bool) -> None:
    """Refuse a folder that holds what a run left, unless it may go on there or start over.

    Raises:
        UserError: there are checkpoints, a finished result, or it cannot be written.
    """
    if not is_first_process():
        # The first may already have begun to write there.
        return
    if not may_write and list_checkpoints(folder):
        raise UserError(
            "the output folder holds checkpoints of an earlier run.",
            where=str(folder),
            mend="Go on from the last one with --resume, start over with --overwrite, or choose "
            "another folder.",
        )
    check_output_folder(folder, overwrite=may_write)


def remove_old(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` complete checkpoints."""
    for checkpoint in list_checkpoints(folder)[:-keep]:
        # Without its manifest it is no checkpoint, so a removal cut short leaves no trap.
        (checkpoint / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(checkpoint, ignore_errors=True)


def _commit(staged: Path, final: Path, settings: Mapping[str, Any]) -> None:
    files = [path for path in sorted(staged.rglob("*")) if path.is_file()]
    manifest = {
        "files": {path.relative_to(staged).as_posix(): path.stat().st_size for path in files},
        "settings": dict(settings),
    }
    (staged / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    # Renamed before its content is on the disk, a checkpoint could survive a power cut empty.
    for path in [*files, staged / MANIFEST]:
        _flush(path)
    if final.exists():
        shutil.rmtree(final)
    staged.rename(final)
    _flush(final.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_json(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _is_writing_error(error: Exception) -> bool:
    """Tell whether a file could not be written; torch and safetensors wrap the error."""
    if isinstance(error, OSError):
        return True
    words = str(error).lower()
    return any(
        hint in words for hint in ("no space left", "file too large", "file write failed")
    ) or ("pytorchstreamwriter" in words or "enforce fail at inline_container" in words)
