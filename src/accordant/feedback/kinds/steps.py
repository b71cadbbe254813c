"""Solutions in steps, each labelled correct or not."""

from __future__ import annotations

from collections.abc import Sequence

from accordant.feedback.kind import Asked, Kind
from accordant.feedback.records import Origin, Steps
from accordant.feedback.row_texts import read_prompt
from accordant.feedback.rows import Row, RowError
from accordant.feedback.values import parse_answer, parse_label, parse_list, parse_string


def build(row: Row, origin: Origin) -> tuple[Steps, ...]:
    """Make the record of a solution with a label for each of its steps."""
    prompt = read_prompt(row)
    steps = row.read("completions", parse_list)
    labels = row.read("labels", parse_list)
    with row.at("labels"):
        if not steps or len(steps) != len(labels):
            raise RowError(
                "lengths do not match",
                f"found {len(steps)} steps and {len(labels)} labels, expected one label per step.",
            )
    with row.at("completions"):
        texts = tuple(parse_answer(parse_string(step, "a step is")) for step in steps)
    # After the texts, so that of several faults the one of the texts is told.
    with row.at("labels"):
        return (Steps(prompt, texts, tuple(map(parse_label, labels)), origin),)


def asked(record: Steps) -> tuple[Asked, ...]:
    """Return the prompt with the steps of its solution."""
    steps = enumerate(record.steps, 1)
    return (Asked(record.prompt, tuple((f"step {place}", text) for place, text in steps)),)


def empty(records: Sequence[Steps]) -> str:
    """Explain that labels of one kind tell no step from another."""
    labels = {label for record in records for label in record.labels}
    return "" if len(labels) > 1 else f"all steps are labelled {str(*labels).lower()}"


KIND = Kind(
    name="steps",
    record=Steps,
    layouts=("prompt completions labels",),
    build=build,
    asked=asked,
    aliases={"completions": ("steps",)},
    empty=empty,
    separator="\n",
)
