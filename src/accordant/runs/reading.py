"""How the settings of a verb say what feedback is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accordant.feedback.bundled import bundled_path
from accordant.feedback.loading import Feedback, load_feedback

if TYPE_CHECKING:
    from accordant.checks.settings import CheckConfig
    from accordant.training.settings import AlignConfig


def read_feedback(
    config: AlignConfig | CheckConfig, source: str, split: str | None, subset: str | None = None
) -> Feedback:
    """Feedback from `source`, read as the settings say.

    Raises:
        UserError: a source, split, column or row at fault.
    """
    return load_feedback(
        source,
        split=split,
        record_type=config.record_type,
        columns=config.columns,
        on_bad_row=config.on_bad_row,
        limit=config.limit,
        subset=subset,
    )


def read_bundled(config: AlignConfig | CheckConfig) -> tuple[Feedback, Feedback]:
    """The feedback that comes along: to learn from, and to test on."""
    return (
        read_feedback(config, str(bundled_path("train")), None),
        read_feedback(config, str(bundled_path("held_out")), None),
    )


def usual_judge(data: str | None) -> str:
    """The rule the bundled feedback was labelled by; elsewhere one that suits any answer."""
    return "rule:concise" if data == "bundled" else "finished"
