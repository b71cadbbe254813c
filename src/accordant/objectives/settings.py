"""Settings that choose the objective and its options.

Knows names and defaults. Knows nothing of the objectives themselves.
"""

from __future__ import annotations

from pathlib import Path

from accordant.base.settings import Settings, setting

METHOD = "Method"


class ObjectiveSettings(Settings):
    """Settings of the objective to train on."""

    method: str | None = setting(
        None,
        "Objective to train on; `accordant objectives` lists them.",
        panel=METHOD,
        default_text="the usual one for the kind of feedback",
    )
    options: dict[str, float | int | bool | str] = setting(
        {},
        "Option of the objective; repeatable: `--option beta=0.2`.",
        panel=METHOD,
        flag="--option",
    )
    objective_file: Path | None = setting(
        None,
        "Python file that registers an objective of your own. It is run like any script.",
        panel=METHOD,
    )
