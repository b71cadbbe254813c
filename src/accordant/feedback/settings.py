"""Settings that say what feedback is read, and what is kept from training.

Knows names, ranges and defaults. Knows nothing of files or of what feedback is used for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from accordant.base.settings import Settings, setting
from accordant.feedback.kinds import KINDS

if TYPE_CHECKING:
    RecordType = str
else:
    # What the command line offers are the kinds there are.
    RecordType = Literal[tuple(KINDS)]

DATA = "Data"


class FeedbackSettings(Settings):
    """Settings of reading feedback: where it is and how its rows become records."""

    data: str | None = setting(
        None,
        "Feedback to read: a JSONL, Parquet or CSV file, a folder of them, the id of a data set "
        "on the Hugging Face hub, or `bundled` for the small set that comes with accordant.",
        panel=DATA,
        default_text="required",
    )
    split: str | None = setting(
        None,
        "Split to read where the data has splits.",
        panel=DATA,
        default_text="train, or the only one",
    )
    subset: str | None = setting(
        None, "Configuration of a hub data set, or sub-folder of a folder.", panel=DATA
    )
    limit: int | None = setting(None, "Rows to read at most.", panel=DATA, ge=1, default_text="all")
    held_out_data: str | None = setting(
        None,
        "Feedback that is kept from training, read like --data.",
        panel=DATA,
        default_text="none",
    )
    columns: dict[str, str] = setting(
        {},
        "Column that holds a field, for data with other column names; repeatable: "
        "`--columns prompt=question`.",
        panel=DATA,
    )
    record_type: RecordType | None = setting(
        None,
        "Kind of feedback in the data.",
        panel=DATA,
        default_text="recognised from the columns",
    )
    on_bad_row: Literal["error", "skip"] = setting(
        "error",
        "What to do about a row that cannot be used: stop, or leave it out and report the count.",
        panel=DATA,
    )
