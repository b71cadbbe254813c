"""Solutions in steps, each labelled correct or not.

Knows rows and texts. Knows nothing of tokens or losses.
"""

from __future__ import annotations

from accordant.feedback.conversations import check_not_empty, check_unicode
from accordant.feedback.kind import Asked, Kind
from accordant.feedback.records import Origin, Steps
from accordant.feedback.row_texts import read_prompt
from accordant.feedback.rows import Row, RowError, kind_of
from accordant.feedback.values import parse_label, parse_list


def build(row: Row, origin: Origin) -> tuple[Steps, ...]:
    """Make the record of a solution with a label for each of its steps."""
    prompt = read_prompt(row)
    column, label_column = row.name("completions"), row.name("labels")
    steps = parse_list(row.require("completions"), column)
    labels = parse_list(row.require("labels"), label_column)
    if not steps or len(steps) != len(labels):
        raise RowError(
            "lengths do not match",
            f"found {len(steps)} steps and {len(labels)} labels, expected one label per step.",
            column=label_column,
        )
    for step in steps:
        if not isinstance(step, str):
            raise RowError(
                "content is not text",
                f"a step is {kind_of(step)}, expected a string.",
                column=column,
            )
        check_unicode(step, column)
        check_not_empty(step, column)
    texts = tuple(str(step) for step in steps)
    return (Steps(prompt, texts, tuple(parse_label(v, label_column) for v in labels), origin),)


def asked(record: Steps) -> tuple[Asked, ...]:
    """Return the prompt with the steps of its solution."""
    steps = enumerate(record.steps, 1)
    return (Asked(record.prompt, tuple((f"step {place}", text) for place, text in steps)),)


KIND = Kind(
    name="steps",
    record=Steps,
    layouts=("prompt completions labels",),
    build=build,
    asked=asked,
    aliases={"completions": ("steps",)},
    separator="\n",
)
