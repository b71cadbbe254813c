"""One run of a sweep in a process of its own: `python -m accordant.runs.sweep.trial FOLDER`.

An ordinary align run with the settings in `FOLDER/run.yaml`. Standard input is a pipe that the
sweep holds open: when the sweep is gone, however it went, the run stops at once. A mistake of the
user is left in words in `FOLDER/failed.txt`, what it measured in `FOLDER/numbers.json`.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

SETTINGS_NAME, FAILURE_NAME, LOG_NAME, LOCK_NAME = "run.yaml", "failed.txt", "log.txt", ".lock"
NUMBERS_NAME = "numbers.json"
_WIDTH = 200


def run_trial(folder: Path) -> int:
    """Run the trial in `folder`; 0 when it has ended, 2 for a user's mistake."""
    from rich.console import Console

    from accordant.base.errors import UserError
    from accordant.base.files import write_whole
    from accordant.base.locks import lock
    from accordant.base.setting_values import load_settings
    from accordant.runs.align.execute import run_align
    from accordant.runs.settings import AlignConfig
    from accordant.runs.sweep.numbers import run_numbers

    (folder / FAILURE_NAME).unlink(missing_ok=True)
    config = load_settings(AlignConfig, config_file=folder / SETTINGS_NAME)
    # Should the process of a sweep that was killed still be on its way out, wait for it.
    with lock(folder / LOCK_NAME):
        try:
            console = Console(width=_WIDTH, highlight=False)
            # A run that ended before it left its numbers is measured anew.
            done = run_align(config.model_copy(update={"overwrite": True}), console=console)
        except UserError as error:
            (folder / FAILURE_NAME).write_text(str(error), encoding="utf-8")
            print(error, flush=True)  # noqa: T201 - its log is standard output
            return 2
        if done.results is not None:
            text = run_numbers(done.results, done.outcome.summary).to_text()
            write_whole(folder / NUMBERS_NAME, text.encode("utf-8", "backslashreplace"))
    return 0


def _end_with_parent() -> None:
    """End as soon as standard input closes, which the kernel does for a killed parent as well."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent()
    sys.exit(run_trial(Path(sys.argv[1])))
