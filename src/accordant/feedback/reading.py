"""Feedback to learn from and feedback kept from it, read as a verb's settings say.

Knows settings of feedback and the loader. Knows nothing of what is done with records.
"""

from __future__ import annotations

from accordant.base.errors import UserError
from accordant.feedback.bundled import bundled_path
from accordant.feedback.loading import Feedback, load_feedback
from accordant.feedback.settings import FeedbackSettings


def read_feedback(
    settings: FeedbackSettings,
    held_out_split: str | None = None,
    data: Feedback | None = None,
) -> tuple[Feedback, Feedback | None]:
    """Read the feedback that settings name and, where it is named or bundled, the held-out part.

    Args:
        settings: name the data.
        held_out_split: split of the held-out data, or of the data itself where those are not named.
        data: feedback at hand, in place of what the settings name.

    Raises:
        UserError: no data named, or a source, split, column or row at fault.
    """
    if not settings.data:
        raise UserError(
            "no feedback was named.",
            where="--data",
            mend="Give a file, a folder or a hub id, or `--data bundled` for the set that comes "
            "with accordant.",
        )
    if data is None and settings.data == "bundled":
        return (
            _read(settings, str(bundled_path("train"))),
            _read(settings, str(bundled_path("held_out"))),
        )
    feedback = data or _read(settings, settings.data, settings.split, settings.subset)
    if settings.held_out_data is not None:
        return feedback, _read(settings, settings.held_out_data, held_out_split)
    if held_out_split is not None:
        return feedback, _read(settings, settings.data, held_out_split, settings.subset)
    return feedback, None


def describe_reading(*sources: Feedback) -> list[str]:
    """Say which rows were skipped and which columns were not used; empty where none was."""
    lines = []
    for feedback in sources:
        lines += feedback.describe_skipped()
        if feedback.ignored:
            lines.append(f"{feedback.source}: columns not used: {', '.join(feedback.ignored)}")
    return lines


def _read(
    settings: FeedbackSettings, source: str, split: str | None = None, subset: str | None = None
) -> Feedback:
    return load_feedback(
        source,
        split=split,
        record_type=settings.record_type,
        columns=settings.columns,
        on_bad_row=settings.on_bad_row,
        limit=settings.limit,
        subset=subset,
    )
