"""Joint pairs: two prompts with their answers, compared as wholes."""

from __future__ import annotations

from accordant.feedback.conversations import mixed_forms, parse_prompt
from accordant.feedback.kind import Asked, Kind
from accordant.feedback.records import JointPair, Origin, Text
from accordant.feedback.row_texts import check_different, read_completion
from accordant.feedback.rows import Row


def build(row: Row, origin: Origin) -> tuple[JointPair, ...]:
    """Make the record of two prompt-and-answer pairs."""
    sides: list[tuple[Text, Text]] = []
    for name in ("chosen", "rejected"):
        prompt = row.read(f"{name}_prompt", parse_prompt)
        sides.append((prompt, read_completion(row, name, prompt, f"{name}_prompt")))
    (chosen_prompt, chosen), (rejected_prompt, rejected) = sides
    if isinstance(chosen_prompt, str) != isinstance(rejected_prompt, str):
        with row.at("rejected_prompt"):
            raise mixed_forms("one prompt is plain text and the other a list of messages.")
    if chosen_prompt == rejected_prompt:
        with row.at("rejected"):
            check_different(chosen, rejected)
    return (JointPair(chosen_prompt, chosen, rejected_prompt, rejected, origin),)


KIND = Kind(
    name="joint_pair",
    record=JointPair,
    layouts=("chosen_prompt chosen rejected_prompt rejected",),
    build=build,
    asked=lambda pair: (
        Asked(pair.chosen_prompt, (("chosen", pair.chosen),), "chosen prompt"),
        Asked(pair.rejected_prompt, (("rejected", pair.rejected),), "rejected prompt"),
    ),
    usual="dove",
    preferred=lambda _: ((0, 1),),
    becomes={
        "demonstration": "take the chosen prompt and answer, drop the rejected ones",
        "binary": "write each pair as two rows: the chosen prompt and answer with `label` true, "
        "the rejected ones with false",
    },
)
