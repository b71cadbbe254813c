"""Judgments: one answer with feedback in words, and how these words enter its prompt.

Knows rows and texts. Knows nothing of tokens or losses.
"""

from __future__ import annotations

import re

from accordant.base.errors import UserError
from accordant.feedback.conversations import check_unicode
from accordant.feedback.kind import Kind
from accordant.feedback.questions import rewrite_question
from accordant.feedback.records import Judgment, Origin, Text
from accordant.feedback.row_texts import read_prompt_and_completion
from accordant.feedback.rows import Row, RowError, kind_of
from accordant.feedback.values import parse_label

JUDGMENT_PROMPT = "Your answer was judged as follows: {judgment}\n\n{prompt}"


def build(row: Row, origin: Origin) -> tuple[Judgment, ...]:
    """Make the record of a judged answer, with a verdict where `is_good` or `label` is given."""
    prompt, completion = read_prompt_and_completion(row)
    column = row.name("judgment")
    judgment = row.require("judgment")
    if not isinstance(judgment, str):
        raise RowError(
            "content is not text", f"found {kind_of(judgment)}, expected a string.", column=column
        )
    check_unicode(judgment, column)
    if not judgment.strip():
        raise RowError("empty judgment", "the judgment is empty.", column=column)
    named = "is_good" if row.values.get("is_good") is not None else "label"
    verdict = row.values.get(named)
    is_good = None if verdict is None else parse_label(verdict, row.name(named))
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


def remarks(record: Judgment) -> tuple[tuple[str, str], ...]:
    """Return the judgment with its verdict."""
    verdict = {True: " (good)", False: " (bad)", None: ""}[record.is_good]
    return (("judgment", record.judgment + verdict),)


KIND = Kind(
    name="judgment",
    record=Judgment,
    layouts=("prompt completion judgment", "messages judgment"),
    build=build,
    usual="cut",
    optional=("is_good",),
    aliases={"judgment": ("critique",)},
    reread=lambda record, wording: with_judgment(record.prompt, record.judgment, wording),
    remarks=remarks,
    label=lambda record: record.is_good,
    label_column="is_good",
    becomes={
        "demonstration": "keep the rows judged good and drop the judgment",
        "binary": "take the verdict `is_good` as `label` and drop the judgment",
        "comparison": "join rows that share a prompt, one judged good as `chosen`, one judged bad "
        "as `rejected`",
    },
)
