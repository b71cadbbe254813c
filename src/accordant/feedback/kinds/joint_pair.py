"""Joint pairs: two prompts with their answers, compared as wholes.

Knows rows and texts. Knows nothing of tokens or losses.
"""

from __future__ import annotations

from accordant.feedback.conversations import parse_prompt
from accordant.feedback.kind import Asked, Kind
from accordant.feedback.records import JointPair, Origin, Text
from accordant.feedback.row_texts import check_different, read_completion
from accordant.feedback.rows import Row, RowError


def build(row: Row, origin: Origin) -> tuple[JointPair, ...]:
    """Make the record of two prompt-and-answer pairs."""
    sides: list[tuple[Text, Text]] = []
    for name in ("chosen", "rejected"):
        given = row.require(f"{name}_prompt")
        prompt = parse_prompt(given, row.name(f"{name}_prompt"))
        sides.append((prompt, read_completion(row.require(name), prompt, given, row.name(name))))
    (chosen_prompt, chosen), (rejected_prompt, rejected) = sides
    if isinstance(chosen_prompt, str) != isinstance(rejected_prompt, str):
        raise RowError(
            "mixed plain and conversational",
            "one prompt is plain text and the other a list of messages.",
            column=row.name("rejected_prompt"),
            mend="Write both as strings or both as lists of messages.",
        )
    if chosen_prompt == rejected_prompt:
        check_different(chosen, rejected, row.name("rejected"))
    return (JointPair(chosen_prompt, chosen, rejected_prompt, rejected, origin),)


def asked(record: JointPair) -> tuple[Asked, ...]:
    """Return both prompts with their answers."""
    return (
        Asked(record.chosen_prompt, (("chosen", record.chosen),), "chosen prompt"),
        Asked(record.rejected_prompt, (("rejected", record.rejected),), "rejected prompt"),
    )


KIND = Kind(
    name="joint_pair",
    record=JointPair,
    layouts=("chosen_prompt chosen rejected_prompt rejected",),
    build=build,
    asked=asked,
    usual="dove",
    preferred=lambda _: ((0, 1),),
    becomes={
        "demonstration": "take the chosen prompt and answer, drop the rejected ones",
        "binary": "write each pair as two rows: the chosen prompt and answer with `label` true, "
        "the rejected ones with false",
    },
)
