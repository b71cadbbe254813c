"""Binary feedback: one answer with a thumb."""

from __future__ import annotations

from collections.abc import Sequence

from accordant.feedback.kind import Kind
from accordant.feedback.records import Binary, Origin
from accordant.feedback.row_texts import read_prompt_and_completion
from accordant.feedback.rows import Row
from accordant.feedback.values import parse_label


def build(row: Row, origin: Origin) -> tuple[Binary, ...]:
    """Make the record of an answer with a thumb."""
    label = row.read("label", parse_label)
    return (Binary(*read_prompt_and_completion(row), label, origin),)


def empty(records: Sequence[Binary]) -> str:
    """Explain that thumbs of one direction compare nothing."""
    if len({record.label for record in records}) > 1:
        return ""
    return f"`label` is {str(records[0].label).lower()} in all {len(records):,} records"


KIND = Kind(
    name="binary",
    record=Binary,
    layouts=("prompt completion label", "messages label"),
    build=build,
    usual="kto",
    aliases={"label": ("kto_tag",)},
    label=lambda record: record.label,
    empty=empty,
    remarks=lambda record: (("label", "desirable" if record.label else "undesirable"),),
    becomes={
        "demonstration": "keep the rows whose `label` is true and drop the column",
        "comparison": "join rows that share a prompt, one with `label` true as `chosen`, one false "
        "as `rejected`",
        "ranking": "collect the rows of every prompt into `completions`, wanted ones first, with "
        "`rewards` 1 and 0",
        "joint_pair": "pair a row with `label` true with any row with false",
        "judgment": "add a column `judgment` that says in words what is good or bad about the "
        "answer, and call `label` `is_good`",
    },
)
