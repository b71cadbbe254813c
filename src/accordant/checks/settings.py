"""Settings that say which checks are run, before, during and after training.

Knows names, ranges and defaults. Knows no check, and nothing of torch, so that help is instant.
"""

from __future__ import annotations

from typing import Literal

from accordant.base.settings import Settings, setting

Level = Literal["info", "warning", "serious"]  # of a finding that a user may act on

CHECKS = "Checks"
EVALUATION = "Evaluation"


class MonitorSettings(Settings):
    """Settings of the checks that are run while training."""

    watch: bool = setting(
        True,
        "Run the checks during training, and say at once what they find.",
        panel=EVALUATION,
    )
    watch_pairs: int = setting(
        8, "Pairs to look at, held out if there are such.", panel=EVALUATION, ge=0
    )
    stop_on: Level | None = setting(
        None,
        "End training at a finding of this severity or worse; the model is saved and reported.",
        panel=EVALUATION,
        default_text="never",
    )


class CheckSettings(Settings):
    """Settings of the checks before and after training: which, with which options."""

    only: tuple[str, ...] = setting(
        (), "Check to run, and no other; repeatable. `--list` names them.", panel=CHECKS
    )
    skip: tuple[str, ...] = setting((), "Check to leave out; repeatable.", panel=CHECKS)
    options: dict[str, float | int | bool | str] = setting(
        {},
        "Option of a check; repeatable: `--option duplicates.similarity=0.9`.",
        panel=CHECKS,
        flag="--option",
    )
    fail_on: Level | None = setting(
        None,
        "End with exit code 1 when a finding of this severity or a worse one is raised.",
        panel=CHECKS,
        default_text="never",
    )
    seed: int = setting(0, "Seed of whatever is drawn at random.", panel=CHECKS)
