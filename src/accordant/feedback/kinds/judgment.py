"""Judgments: one answer with feedback in words, and how these words enter its prompt."""

from __future__ import annotations

import re

from accordant.base.errors import UserError
from accordant.feedback.conversations import rewrite_question
from accordant.feedback.kind import Kind
from accordant.feedback.records import Judgment, Origin, Text
from accordant.feedback.row_texts import read_prompt_and_completion
from accordant.feedback.rows import Row, RowError
from accordant.feedback.values import parse_label, parse_string

JUDGMENT_PROMPT = "Your answer was judged as follows: {judgment}\n\n{prompt}"


def build(row: Row, origin: Origin) -> tuple[Judgment, ...]:
    """Make the record of a judged answer, with a verdict where `is_good` or `label` is given."""
    prompt, completion = read_prompt_and_completion(row)
    judgment = row.read("judgment", parse_string)
    if not judgment.strip():
        raise RowError("empty judgment", "the judgment is empty.", column=row.name("judgment"))
    # A thumb beside the words is the verdict where no other is given.
    verdict = next((name for name in ("is_good", "label") if row.has(name)), None)
    is_good = row.read(verdict, parse_label) if verdict else None
    return (Judgment(prompt, completion, judgment, is_good, origin),)


def with_judgment(prompt: Text, judgment: str, wording: str) -> Text:
    """Write the judgment of its answer into a prompt: its last user message or its plain text.

    Args:
        prompt: plain or conversational.
        judgment: feedback in words.
        wording: a text that holds `{prompt}` and `{judgment}` once each.

    Raises:
        UserError: a conversation without a user message.
    """

    def filled(question: str) -> str:
        # In one pass: a prompt may itself hold the text `{judgment}`.
        texts = {"prompt": question, "judgment": judgment.strip()}
        return re.sub(r"\{(prompt|judgment)\}", lambda place: texts[place[1]], wording)

    return rewrite_question(prompt, filled)


def check_wording(wording: str) -> None:
    """Raise unless `wording` holds `{prompt}` and `{judgment}` once each."""
    counts = {place: wording.count(place) for place in ("{prompt}", "{judgment}")}
    if set(counts.values()) != {1}:
        shown = ", ".join(f"{place} {count} times" for place, count in counts.items())
        raise UserError(
            f"found {shown}, expected each once.",
            where="--judgment-prompt",
            mend="Write for example: " + repr(JUDGMENT_PROMPT),
        )


VERDICTS = {True: " (good)", False: " (bad)", None: ""}
KIND = Kind(
    name="judgment",
    record=Judgment,
    layouts=("prompt completion judgment", "messages judgment"),
    build=build,
    usual="cut",
    optional=("is_good",),
    aliases={"judgment": ("critique",)},
    reread=lambda record, wording: with_judgment(record.prompt, record.judgment, wording),
    remarks=lambda record: (("judgment", record.judgment + VERDICTS[record.is_good]),),
    label=lambda record: record.is_good,
    label_column="is_good",
    becomes={
        "demonstration": "keep the rows judged good and drop the judgment",
        "binary": "take the verdict `is_good` as `label` and drop the judgment",
        "comparison": "join rows that share a prompt, one judged good as `chosen`, one judged bad "
        "as `rejected`",
    },
)
